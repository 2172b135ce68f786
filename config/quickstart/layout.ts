// Where the quickstart's parts listen and keep their files. Ports are fixed, so that its commands can be copied, and
// can be moved by QUICKSTART_<PART>_PORT (0 takes a free one); QUICKSTART_DATA moves the data folder.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';

/** The project's folder. */
export const ROOT = resolve(import.meta.dirname, '../..');

const PORTS = {
  agents: 8080,
  reviewers: 8081,
  ops: 8082,
  issuer: 9000,
  ledger: 9001,
  tools: 9002,
  traces: 9003,
} as const;

export type Ports = Record<keyof typeof PORTS, number>;

/** What a running quickstart is reached by; written to `running.json` for the token and tour commands. */
export interface Running {
  readonly ports: Ports;
  readonly dataDir: string;
  readonly configPath: string;
}

export const DEFAULT_PORTS: Ports = PORTS;

export const dataDirOf = (env: NodeJS.ProcessEnv): string => resolve(ROOT, env.QUICKSTART_DATA ?? 'data');

/** The quickstart's own files: the issuer's key, client secrets, logs. */
export const stateDirOf = (dataDir: string): string => join(dataDir, 'quickstart');

export async function choosePorts(env: NodeJS.ProcessEnv): Promise<Ports> {
  const chosen: Ports = { ...PORTS };
  for (const part of Object.keys(PORTS) as (keyof Ports)[]) {
    const text = env[`QUICKSTART_${part.toUpperCase()}_PORT`];
    if (text === undefined) continue;
    if (!/^\d{1,5}$/.test(text)) throw new Error(`QUICKSTART_${part.toUpperCase()}_PORT is not a port`);
    chosen[part] = Number(text) || (await freePort());
  }
  return chosen;
}

/** What `npm start` left for other terminals. Throws when nothing is running there. */
export function readRunning(env: NodeJS.ProcessEnv): Running {
  try {
    return JSON.parse(readFileSync(join(stateDirOf(dataDirOf(env)), 'running.json'), 'utf8')) as Running;
  } catch {
    throw new Error('The quickstart is not running: start it with npm start, in another terminal.');
  }
}

export const urlOf = (port: number): string => `http://127.0.0.1:${port}`;

/** The reviewers' pages go by a name: passkeys are bound to one, and an address is none. */
export const deskUrlOf = (port: number): string => `http://localhost:${port}`;

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
