// `npm run bench`: every contender in turn on this machine, several rounds, and one table of ratios to the floor.
// Rounds are interleaved, so that a machine that slows down slows all of them; medians are compared, never single figures.
// CPU per request is the contender's own (user + system, from /proc), and does not depend on how fast the load generator is.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '4' }, only: { type: 'string', multiple: true } },
});
const rounds = Math.min(Number(values.rounds), 20);
const seconds = Math.min(Number(values.seconds), 60);
const CONNECTIONS = 64;

interface Contender {
  readonly name: string;
  readonly process: ChildProcess;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Sample {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50: number;
  readonly p99: number;
}

async function launch(name: string, file: string, args: readonly string[], path: string): Promise<Contender> {
  const child = spawn(process.execPath, [new URL(`contenders/${file}`, import.meta.url).pathname, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, port, token] = line.split(' ');
    if (word === 'port') return { name, process: child, url: `http://127.0.0.1:${port}${path}`, headers: token ? { authorization: `Bearer ${token}` } : {} };
  }
  throw new Error(`${name} did not start`);
}

/** User and system time of a process so far, in clock ticks of 10 ms. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function measure({ process: child, url, headers }: Contender, duration: number): Promise<Sample> {
  const before = cpuTicks(child.pid as number);
  const result = await autocannon({ url, headers, connections: CONNECTIONS, duration });
  const ticks = cpuTicks(child.pid as number) - before;
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${url}: ${result.non2xx} answers other than 2xx, ${result.errors} errors`);
  return {
    perSecond: result.requests.total / result.duration,
    cpuMicros: (ticks * 10_000) / result.requests.total,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;

const upstream = await launch('upstream', 'upstream.ts', [], '/');
const origin = new URL(upstream.url).origin;
const contenders: Contender[] = [];
try {
  const wanted = (name: string): boolean => values.only === undefined || values.only.includes(name) || name === 'floor';
  const list: [name: string, file: string, path: string][] = [
    ['floor', 'floor.ts', '/r7/42'],
    ['countersign', 'gateway.ts', '/api/r7/42'],
    ['http-proxy-3', 'http-proxy-3.ts', '/r7/42'],
    ['@fastify/http-proxy', 'fastify-http-proxy.ts', '/r7/42'],
  ];
  for (const [name, file, path] of list) if (wanted(name)) contenders.push(await launch(name, file, [origin], path));
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await measure(contender, 2);
  for (let round = 0; round < rounds; round++) for (const contender of contenders) samples.get(contender.name)?.push(await measure(contender, seconds));

  const of = (name: string, key: keyof Sample): number => median((samples.get(name) ?? []).map((sample) => sample[key]));
  console.log(`\n${rounds} rounds of ${seconds} s, ${CONNECTIONS} connections, 1 KiB JSON, medians. Ratios to the floor of this run.\n`);
  console.log('| contender | requests/s | CPU per request | p50 | p99 |\n|---|---|---|---|---|');
  for (const { name } of contenders) {
    const ratio = (key: keyof Sample): string => (of(name, key) / of('floor', key)).toFixed(2);
    console.log(`| ${name} | ${ratio('perSecond')} | ${ratio('cpuMicros')} | ${ratio('p50')} | ${ratio('p99')} |`);
  }
  if (samples.has('countersign') && samples.has('http-proxy-3')) {
    console.log(`\ncountersign : http-proxy-3 = ${(of('countersign', 'perSecond') / of('http-proxy-3', 'perSecond')).toFixed(2)} in requests/s`);
  }
  for (const server of ['nginx', 'caddy', 'haproxy']) if (spawnSync('which', [server]).status !== 0) console.log(`${server}: not installed here, not measured`);
} finally {
  for (const { process: child } of [upstream, ...contenders]) child.kill('SIGTERM');
}
