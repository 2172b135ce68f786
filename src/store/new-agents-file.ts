// Which issuer has shown too many new agents, and when last: a small file beside the database. `countersign check` reads
// it, because the gateway that runs has the database to itself. A file that is missing or damaged says nothing.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMs } from '../domain/clock.ts';

export interface ManyNewAgents {
  readonly at: EpochMs;
  /** Whether the issuer had an `agentKey` already. */
  readonly keyed: boolean;
}

const FILE = 'new-agents.json';

export function readNewAgents(folder: string): ReadonlyMap<string, ManyNewAgents> {
  try {
    const read = JSON.parse(readFileSync(join(folder, FILE), 'utf8')) as Record<string, ManyNewAgents>;
    return new Map(Object.entries(read).filter(([, { at }]) => Number.isFinite(at)));
  } catch {
    return new Map();
  }
}

/** Throws what the file system throws. */
export function noteNewAgents(folder: string, issuer: string, seen: ManyNewAgents): void {
  const all = { ...Object.fromEntries(readNewAgents(folder)), [issuer]: seen };
  const path = join(folder, FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(all)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
