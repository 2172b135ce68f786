// `npm run fuzz -- TARGET --minutes N [--seed S]`: drives one parser until the time is over or something is found, and
// ends by itself. A finding is shrunk, printed and kept among the vectors, which the suite replays. Exit code 1 says
// that there is one.

import { parseArgs } from 'node:util';
import { keepVector, runRound, vectorsOf } from './run.ts';
import { TARGETS } from './targets.ts';

const ROUND = 500;
/** No input may take longer than this: the gateway has one thread. */
const SLOW_MS = 100;

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const target = TARGETS.find(({ name }) => name === positionals[0]);
const minutes = Number(values.minutes);
if (target === undefined || !(minutes > 0)) {
  console.error(
    `Usage: npm run fuzz -- TARGET --minutes N [--seed S]\n\n${TARGETS.map(({ name, drives }) => `${name.padEnd(16)} ${drives}`).join('\n')}`,
  );
  process.exit(2);
}

function cpuMs(input: string): number {
  const start = process.cpuUsage();
  try {
    target?.read(input);
  } catch {
    // Refusing may not take long either.
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

function check(input: string): void {
  target?.check(input);
  // Once may be a collection of garbage; five times is the input.
  if ([1, 2, 3, 4, 5].every(() => cpuMs(input) > SLOW_MS))
    throw new Error(`It takes more than ${SLOW_MS} ms for ${input.length} characters.`);
}

for (const input of vectorsOf(target)) check(input);
let seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const first = seed;
let inputs = 0;
for (const end = Date.now() + minutes * 60_000; Date.now() < end; seed++) {
  const finding = runRound(target, seed, ROUND, check);
  inputs += ROUND;
  if (finding === undefined) continue;
  keepVector(target, finding.input);
  console.error(
    `${target.name}: ${finding.fault}\nseed ${finding.seed}, input ${JSON.stringify(finding.input.slice(0, 2_000))} (kept among the vectors)`,
  );
  process.exit(1);
}
console.log(`${target.name}: nothing in ${inputs} inputs, seeds ${first} to ${seed - 1}`);
