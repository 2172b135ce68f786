// A folder for one test, and a log on it.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AuditJournal, type AuditOptions, openAuditLog } from '../../src/audit/journal.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-audit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function openIn(path: string, more: Partial<AuditOptions> = {}): Promise<AuditJournal> {
  return openAuditLog({ path, instance: 'test', clock: systemClock, log: silentLog, metrics: noMetrics, ...more });
}

/** A closed file of `count` records after its start record. */
export async function writeFile(folder: string, count: number): Promise<string> {
  const log = await openIn(folder);
  await Promise.all(
    Array.from({ length: count }, (_, i) => log.append('config', Date.now(), { i, text: 'ä\u202e' }, 'soon')),
  );
  await log.close();
  return log.file;
}

export async function linesOf(file: string): Promise<string[]> {
  return (await readFile(file, 'utf8')).split('\n').slice(0, -1);
}
