// One file of the audit log. It begins with a start record and is chained to the newest file of its folder. After any
// disk error it accepts no more records, since the chain would have a hole; later records go into another file
// (journal.ts).

import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import { GatewayError } from '../errors.ts';
import { lineDigest, NO_LINE, readLine, writeLine } from './chain.ts';
import { auditFileName, auditFiles, readEnd, startOf, type TornTail } from './folder.ts';
import { createGroupWriter } from './writer.ts';

export interface AuditOptions {
  /** The folder; made with mode 0700 if it is missing. Its files have mode 0600. */
  readonly path: string;
  /** One per process; part of the file's name. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'auditAppended'>;
  /** `held`: each append waits as long as its caller asks. `all`: every append waits for the disk. Default `held`. */
  readonly durability?: 'held' | 'all';
  /** Longest time that a `soon` record stays unsynced, ms. Default 1000. */
  readonly fsyncEveryMs?: number;
}

/** A file that failed, and the last record that it took. */
export interface FailedFile {
  readonly name: string;
  readonly seq: number;
}

export interface AuditFile extends AuditLog {
  readonly path: string;
  /** The error that closed it, if one did. */
  readonly failure: Error | undefined;
  /** As the start record of its successor would describe it. */
  readonly taken: FailedFile;
}

/**
 * `after` is the file of this process that failed before; the start record says how many of its records are not on
 * disk.
 */
export async function startFile(options: AuditOptions, onFailure: () => void, after?: FailedFile): Promise<AuditFile> {
  const { path, instance, clock, log, metrics, durability: policy = 'held', fsyncEveryMs = 1000 } = options;
  await mkdir(path, { recursive: true, mode: 0o700 });
  const before = await whatWasBefore(path);
  const startedAt = clock.now();
  // Names sort by start time, even if the clock was set back since the last file was started.
  const name = auditFileName(
    before.newestFile === undefined ? startedAt : Math.max(startedAt, startOf(before.newestFile) + 1),
    instance,
  );
  const file = join(path, name);
  // Opened exclusively: an existing file belongs to another process and is never appended to.
  const handle = await open(file, 'ax', 0o600);
  await syncFolder(path);

  const writer = createGroupWriter({
    handle,
    fsyncEveryMs,
    onFailure(error) {
      // Until then no file can fail: the caller that asked for one gets the error.
      if (!begun) return;
      log.error('audit.failed', { file: name, error: error instanceof Error ? error : new Error('unknown') });
      onFailure();
    },
    refusal: (cause) =>
      new GatewayError('audit_unavailable', 'The call could not be recorded, so it was not made.', { cause }),
  });
  let begun = false;
  let seq = 0;
  let prev = NO_LINE;

  const append: AuditLog['append'] = (type, time, record, asked) => {
    if (writer.failure !== undefined) return Promise.reject(writer.failure);
    const line = writeLine({ seq: seq + 1, time, prev, type }, record);
    seq += 1;
    prev = lineDigest(line);
    const durability = policy === 'all' ? 'fsync' : asked;
    const done = writer.append(line, durability, { seq });
    // Records for which nobody waits are not measured: that would cost a measurement at each call.
    return durability === 'fsync' ? measured(done) : done;
  };

  async function measured<T>(done: Promise<T>): Promise<T> {
    const started = performance.now();
    const place = await done;
    metrics.auditAppended((performance.now() - started) / 1000);
    return place;
  }

  const missing = after && missingOf(after, before);
  const start = {
    ...{
      instance,
      previous: before.previous,
      torn: before.torn.map(({ file, bytes, digest }) => ({ file, bytes, digest })),
    },
    ...(missing && { missing }),
  };
  try {
    await append('start', startedAt, start, 'fsync');
  } catch (thrown) {
    // The file is empty, and the next attempt begins another.
    await writer.close().catch(() => {});
    await rm(file, { force: true });
    throw thrown;
  }
  begun = true;
  for (const tail of before.torn) log.warn('audit.torn_line', { file: tail.file, bytes: tail.bytes });
  if (missing) log.warn('audit.reopened', { file: name, after: missing.file, missing: missing.records });
  return {
    path: file,
    get failure() {
      return writer.failure;
    },
    get taken() {
      return { name, seq };
    },
    append,
    close: () => writer.close(),
  };
}

/**
 * How many records the failed file accepted but does not contain. None of them was promised to be on disk, and no call
 * was sent because of them.
 */
function missingOf(
  { name, seq }: FailedFile,
  { previous }: Before,
): { readonly file: string; readonly records: number } {
  return { file: name, records: seq - (previous?.file === name ? previous.seq : 0) };
}

/** Where the folder's record ended before this start. */
interface Before {
  readonly newestFile?: string;
  /** The newest file that has a whole line, and that line: `null` in the first file of a folder. */
  readonly previous: { readonly file: string; readonly seq: number; readonly digest: string } | null;
  /** What crashes left after the whole lines since then. It is described, and left as it is. */
  readonly torn: readonly (TornTail & { readonly file: string })[];
}

async function whatWasBefore(folder: string): Promise<Before> {
  const files = await auditFiles(folder);
  const newest = files.at(-1);
  const torn: (TornTail & { file: string })[] = [];
  for (const file of files.toReversed()) {
    const end = await readEnd(folder, file);
    if (end.torn !== undefined) torn.push({ file, ...end.torn });
    // A process that died before its first record left an empty file: the chain continues from the file before it.
    if (end.line === undefined) continue;
    const previous = { file, seq: readLine(end.line)?.seq ?? 0, digest: lineDigest(end.line) };
    return { ...(newest && { newestFile: newest }), previous, torn };
  }
  return { ...(newest && { newestFile: newest }), previous: null, torn };
}

/** The file's name must survive a crash as well as its content. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
