// `countersign credentials outstanding`: lists what was issued and is not revoked yet. Asks the running gateway at its
// operators' listener; if none runs, reads the store of the stopped one. Shows names and times, never a secret, and
// changes nothing.

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { closeHold } from '../approvals/closing.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../domain/clock.ts';
import type { OutstandingCredential } from '../domain/credential.ts';
import { silentLog } from '../domain/log.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { loadConfigFile } from './config-file.ts';
import { CommandError, EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary = 'credentials outstanding        see which upstream credentials are not taken back yet';

const USAGE = `Usage: countersign credentials outstanding [--url URL | --config FILE] [--json]

  --url URL         the operators' listener; default http://127.0.0.1:8082
  --config FILE     take its address from a gateway's configuration; when no gateway runs there, read the store of the stopped one
  --json            print the entries as JSON

Exit code 0: nothing is outstanding; 1: something is outstanding, or the command cannot tell.`;

type OutstandingEntry = Omit<OutstandingCredential, 'sealed'>;

interface Found {
  readonly entries: readonly OutstandingEntry[];
  readonly from: string;
}

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const options = {
      url: { type: 'string' },
      config: { type: 'string' },
      json: { type: 'boolean', default: false },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (positionals.join(' ') !== 'outstanding') throw new UsageError('Write `credentials outstanding`.');
    if (values.url !== undefined && values.config !== undefined)
      throw new UsageError('Give --url or --config, not both.');
    const found =
      values.config === undefined
        ? await ask(values.url ?? 'http://127.0.0.1:8082')
        : await byConfig(await loadConfigFile(values.config));
    if (values.json) printJson(io, found.entries);
    else io.stdout.write(render(found));
    return found.entries.length === 0 ? EXIT.ok : EXIT.refused;
  });
}

async function byConfig({ listeners, store }: Config): Promise<Found> {
  const { host, port } = listeners.ops.address;
  const literal = host.includes(':') ? `[${host}]` : host;
  try {
    return await ask(`http://${literal}:${port}`);
  } catch (thrown) {
    if (!(thrown instanceof Unreachable) || !existsSync(store.path)) throw thrown;
  }
  return read(store.path);
}

class Unreachable extends CommandError {}

async function ask(url: string): Promise<Found> {
  let response: Response;
  try {
    response = await fetch(new URL('/credentials/outstanding', url), {
      redirect: 'error',
      signal: AbortSignal.timeout(10_000),
    });
  } catch {
    throw new Unreachable(`No gateway answers at ${url}.`);
  }
  if (!response.ok) throw new CommandError(`The gateway at ${url} answered with status ${response.status}.`);
  const { credentials } = (await response.json()) as { credentials: readonly OutstandingEntry[] };
  return { entries: credentials, from: `the gateway at ${url}` };
}

async function read(path: string): Promise<Found> {
  const store = openSqliteStore({ path, clock: systemClock, closeHold, log: silentLog });
  try {
    const entries = (await store.credentials.outstanding()).map(({ sealed: _, ...entry }) => entry);
    return { entries, from: `the store ${path}; no gateway is running` };
  } finally {
    await store.close();
  }
}

function render({ entries, from }: Found): string {
  if (entries.length === 0) return `Nothing is outstanding (${from}).\n`;
  const lines = entries.map(({ id, name, provider, issuedAt, expiresAt, attempts, holdId, taskId }) => {
    const expires =
      expiresAt === undefined ? 'expires at an unknown time' : `expires ${new Date(expiresAt).toISOString()}`;
    const context = [holdId, taskId].filter((part) => part !== undefined).join(' ');
    return `${id}  ${name} (${provider})  issued ${new Date(issuedAt).toISOString()}  ${expires}  failed ${attempts}×  ${context}`.trimEnd();
  });
  return `${lines.join('\n')}\n${entries.length} outstanding (${from}).\n`;
}
