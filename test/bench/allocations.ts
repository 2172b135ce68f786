// `node test/bench/allocations.ts`: bytes that the gateway allocates on V8's heap for an allowed call, from a sampled
// profile of a run under load. Buffers outside the heap do not count.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { applyLoad } from './load.ts';

const WARM_UP_SECONDS = 6;
const SECONDS = 4;
const ROUNDS = 3;

interface Started {
  readonly child: ChildProcess;
  /** The words of the next line that begins with this one. */
  next(first: string): Promise<readonly string[]>;
  readonly origin: string;
  readonly token: string;
}

async function launch(file: string, args: readonly string[], preload: readonly string[] = []): Promise<Started> {
  const path = (name: string): string => new URL(`contenders/${name}`, import.meta.url).pathname;
  const imports = preload.flatMap((name) => ['--import', path(name)]);
  const child = spawn(process.execPath, [...imports, path(file), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const waiting = new Map<string, (words: readonly string[]) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const words = line.split(' ');
    waiting.get(words[0] ?? '')?.(words);
  });
  const next = (first: string): Promise<readonly string[]> =>
    new Promise((resolve) => void waiting.set(first, resolve));
  const [, port, token = ''] = await next('port');
  return { child, next, origin: `http://127.0.0.1:${port}`, token };
}

const upstream = await launch('upstream.ts', []);
const issuer = await launch('issuer.ts', []);
const gateway = await launch('gateway.ts', [upstream.origin, issuer.origin], ['count-allocations.ts']);
try {
  const url = `${gateway.origin}/api/r7/42`;
  const headers = { authorization: `Bearer ${issuer.token}` };
  await applyLoad(url, headers, WARM_UP_SECONDS);
  for (let round = 1; round <= ROUNDS; round++) {
    const begun = gateway.next('sampling');
    gateway.child.kill('SIGUSR2');
    await begun;
    const { requests } = await applyLoad(url, headers, SECONDS);
    const ended = gateway.next('allocated');
    gateway.child.kill('SIGUSR2');
    const [, bytes] = await ended;
    console.log(`round ${round}: ${Math.round(Number(bytes) / requests)} bytes a call, ${requests} calls`);
  }
} finally {
  for (const { child } of [upstream, issuer, gateway]) child.kill('SIGTERM');
}
