// From the vote to the first upstream byte: how long an approved call takes to leave once somebody has pressed approve,
// with 1,000 other holds open, and with none. Everything is the real product in a process of its own (SQLite with
// fsync, the audit journal, ES256 tokens); the clock is this process's: the vote's request going out, and the call's
// head arriving at the upstream here. Run: node test/bench/vote-to-send.ts [open holds] [votes per round]

import { type Environment, startEnvironment } from '../support/environment.ts';

const OPEN = Number(process.argv[2] ?? 1_000);
const VOTES = Number(process.argv[3] ?? 60);
const ROUNDS = 5;
const AT_ONCE = 20;

interface Round {
  readonly sends: readonly number[];
  readonly votes: readonly number[];
}

async function measure(env: Environment, count: number, label: string): Promise<Round> {
  const reviewer = await env.reviewer('alice');
  const sends: number[] = [];
  const votes: number[] = [];
  for (let i = 0; i < count; i++) {
    const { hold } = await reviewer.expect('PENDING');
    const answer = env.transfer({ measured: `${label}-${i}` }, { as: 'measured' });
    const id = await hold;
    const { bindingDigest } = await reviewer.show(id);
    const arrival = env.upstream.arrived(env.upstream.requests.length);
    const start = performance.now();
    const voted = reviewer.vote(id, 'approve', { bindingDigest }).then((response) => {
      votes.push(performance.now() - start);
      if (!response.ok) throw new Error(`the vote was answered ${response.status}`);
      return response.arrayBuffer();
    });
    await arrival;
    sends.push(performance.now() - start);
    await Promise.all([voted, answer.then((response) => response.arrayBuffer())]);
  }
  return { sends, votes };
}

/** Calls that wait, each on its connection, for the whole of the run. */
async function openHolds(env: Environment, count: number, aborter: AbortController): Promise<void> {
  const reviewer = await env.reviewer('counter');
  for (let from = 0; from < count; from += AT_ONCE) {
    for (let i = from; i < Math.min(count, from + AT_ONCE); i++) {
      env.transfer({ open: i }, { as: `open-${i % 50}`, signal: aborter.signal }).catch(() => {});
    }
    while ((await held(env)) < Math.min(count, from + AT_ONCE)) await reviewer.list();
  }
}

async function held(env: Environment): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
  const [, value = '0'] = /^countersign_holds_active\{[^}]*PENDING[^}]*\} (\d+)/m.exec(text) ?? [];
  return Number(value);
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const start = (): Promise<Environment> =>
  startEnvironment({
    tiers: { payment: { reviewers: ['group:finance'], decideWithin: '1h' } },
    limits: { wait: '10m', pendingPerAgent: 10000 },
  });

// Two gateways in the same run, in turn: what else the machine does is the same for both.
const [none, many] = [await start(), await start()];
const aborter = new AbortController();
try {
  await openHolds(many, OPEN, aborter);
  const waiting = await held(many);
  const rounds = { none: [] as Round[], many: [] as Round[] };
  for (const env of [none, many]) await measure(env, 20, 'warm');
  for (let round = 0; round < ROUNDS; round++) {
    rounds.none.push(await measure(none, VOTES, `r${round}`));
    rounds.many.push(await measure(many, VOTES, `r${round}`));
  }
  report('no other hold open', rounds.none);
  report(`${waiting} other holds open`, rounds.many);
  for (const q of [0.5, 0.99]) {
    const each = (of: readonly Round[]): number[] => of.map(({ sends }) => quantile(sends, q));
    const equal = each(rounds.none);
    const spread = Math.max(...equal) / Math.min(...equal);
    console.log(
      `p${q * 100}: ×${(average(each(rounds.many)) / average(equal)).toFixed(2)} with ${waiting} holds open; equal rounds differ by up to ×${spread.toFixed(2)}`,
    );
  }
  console.log(
    `${ROUNDS} rounds of ${VOTES} votes one after another, in turn, on one machine with the issuer, the upstream and the reviewer beside the gateways.`,
  );
} finally {
  aborter.abort();
  await Promise.all([none.close(), many.close()]);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function report(what: string, rounds: readonly Round[]): void {
  const line = (name: string, pick: (round: Round) => readonly number[]) => {
    const all = rounds.flatMap(pick);
    const medians = rounds.map((round) => ms(quantile(pick(round), 0.5))).join(', ');
    console.log(
      `${what}: ${name} p50 ${ms(quantile(all, 0.5))}, p99 ${ms(quantile(all, 0.99))} (p50 of the rounds: ${medians})`,
    );
  };
  line('vote to first upstream byte', ({ sends }) => sends);
  line('vote to its answer', ({ votes }) => votes);
}
