// `npm run bench`: every contender in turn on this machine, several rounds, and one table of ratios to the floor.
// Rounds are interleaved, so that a machine that slows down slows all of them; medians are compared, never single
// figures. CPU per request is the contender's own (user + system, from /proc), and depends little on the load
// generator.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { applyLoad, CONNECTIONS, generator, installed, type Load } from './load.ts';
import { haproxy, nginx, type PlainProxy } from './plain-proxies.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', multiple: true },
  },
});
const rounds = Math.min(Number(values.rounds), 20);
const seconds = Math.min(Number(values.seconds), 60);
/** Until the compiler has done its work. */
const WARM_UP_SECONDS = 6;
/**
 * Before each measurement: a process that was idle while the others had their turn has had part of its compiled code
 * taken away by V8.
 */
const WAKE_UP_SECONDS = 2;

interface Contender {
  readonly name: string;
  readonly process: ChildProcess;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Sample = Omit<Load, 'requests'> & { readonly cpuMicros: number };

async function launch(name: string, file: string, args: readonly string[], path: string): Promise<Contender> {
  const child = spawn(process.execPath, [new URL(`contenders/${file}`, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, port, token] = line.split(' ');
    if (word === 'port')
      return {
        name,
        process: child,
        url: `http://127.0.0.1:${port}${path}`,
        headers: token ? { authorization: `Bearer ${token}` } : {},
      };
  }
  throw new Error(`${name} did not start`);
}

async function launchPlain(name: string, { command, args, port }: PlainProxy, path: string): Promise<Contender> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries === 50) throw new Error(`${name} did not start`);
    await pause(100);
  }
  return { name, process: child, url: `http://127.0.0.1:${port}${path}`, headers: {} };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** User and system time of a process so far, in clock ticks of 10 ms. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function measure({ process: child, url, headers }: Contender, duration: number): Promise<Sample> {
  const before = cpuTicks(child.pid as number);
  const { requests, ...load } = await applyLoad(url, headers, duration);
  return { ...load, cpuMicros: ((cpuTicks(child.pid as number) - before) * 10_000) / requests };
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;

const PATH = '/r7/42';
const upstream = await launch('upstream', 'upstream.ts', [], '/');
const origin = new URL(upstream.url);
const issuer = await launch('issuer', 'issuer.ts', [], '');
const contenders: Contender[] = [];
try {
  const node = (name: string, file: string, path = PATH) =>
    [name, () => launch(name, file, [origin.origin], path)] as const;
  const list: (readonly [name: string, start: () => Promise<Contender>])[] = [
    node('floor', 'floor.ts'),
    [
      'countersign',
      async () => ({
        ...(await launch('countersign', 'gateway.ts', [origin.origin, issuer.url], `/api${PATH}`)),
        headers: issuer.headers,
      }),
    ],
    node('http-proxy-3', 'http-proxy-3.ts'),
    node('@fastify/http-proxy', 'fastify-http-proxy.ts'),
  ];
  if (installed('nginx')) list.push(['nginx', async () => launchPlain('nginx', await nginx(origin), PATH)]);
  if (installed('haproxy')) list.push(['haproxy', async () => launchPlain('haproxy', await haproxy(origin), PATH)]);
  for (const [name, start] of list)
    if (values.only?.includes(name) !== false || name === 'floor') contenders.push(await start());

  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await measure(contender, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      await measure(contender, WAKE_UP_SECONDS);
      samples.get(contender.name)?.push(await measure(contender, seconds));
    }
  }

  const of = (name: string, key: keyof Sample): number =>
    median((samples.get(name) ?? []).map((sample) => sample[key]));
  console.log(
    `\n${rounds} rounds of ${seconds} s, ${CONNECTIONS} connections by ${generator}, 1 KiB JSON, medians. Ratios to the floor of this run.\n`,
  );
  console.log('| contender | requests/s | CPU per request | p50 | p99 |\n|---|---|---|---|---|');
  for (const { name } of contenders) {
    const ratio = (key: keyof Sample): string => (of(name, key) / of('floor', key)).toFixed(2);
    console.log(`| ${name} | ${ratio('perSecond')} | ${ratio('cpuMicros')} | ${ratio('p50')} | ${ratio('p99')} |`);
  }
  if (samples.has('countersign') && samples.has('http-proxy-3')) {
    console.log(
      `\ncountersign : http-proxy-3 = ${(of('countersign', 'perSecond') / of('http-proxy-3', 'perSecond')).toFixed(2)} in requests/s`,
    );
  }
  for (const server of ['nginx', 'haproxy'])
    if (!installed(server)) console.log(`${server}: not installed here, not measured`);
} finally {
  for (const { process: child } of [upstream, issuer, ...contenders]) child.kill('SIGTERM');
}
