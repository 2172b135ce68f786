// A real moto (https://docs.getmoto.org), and before it a proxy in which AWS's own botocore computes every signature
// again.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { vi } from 'vitest';

/** The folder of moto's programs, or undefined when they are not on PATH. */
export function findMoto(): string | undefined {
  try {
    return dirname(execFileSync('/bin/sh', ['-c', 'command -v moto_server'], { encoding: 'utf8' }).trim());
  } catch {
    return undefined;
  }
}

export interface PassedOn {
  readonly method: string;
  readonly path: string;
  readonly target: string | null;
  /** Whether it was AssumeRoleWithWebIdentity. */
  readonly session: boolean;
  readonly status: number;
  /** Why botocore would have signed otherwise; null when it would not. */
  readonly fault: string | null;
}

export interface Moto {
  readonly origin: string;
  /** Every request that reached the proxy. */
  readonly passed: readonly PassedOn[];
  close(): Promise<void>;
}

export async function startMoto(programs: string): Promise<Moto> {
  const port = await freePort();
  const server = spawn(join(programs, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  await vi.waitFor(() => fetch(`http://127.0.0.1:${port}/moto-api/`), { timeout: 60_000, interval: 200 });
  const proxy = spawn(join(programs, 'python'), [join(import.meta.dirname, 'recomputing_proxy.py'), String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (proxy.stdout === null) throw new Error('no pipe');
  const lines = createInterface({ input: proxy.stdout });
  const [first] = (await once(lines, 'line')) as [string];
  const passed: PassedOn[] = [];
  lines.on('line', (line) => passed.push(JSON.parse(line)));
  return {
    origin: `http://127.0.0.1:${first}`,
    passed,
    async close() {
      await Promise.all([proxy, server].map(end));
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
