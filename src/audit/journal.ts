// The audit log: one chained JSONL file per start of a gateway, in a folder that keeps all of them. A record has its
// place in the chain before `append` returns, and it is as durable as the caller asked when the promise resolves. Fails
// closed: after a disk error no record is accepted and calls are answered with 503, until a new file can be begun. The
// new file is chained to what is on disk, and its first record says how many records are missing.

import type { AuditLog } from '../domain/audit.ts';
import { GatewayError } from '../errors.ts';
import { type AuditFile, type AuditOptions, startFile } from './file.ts';

export type { AuditOptions } from './file.ts';

export interface AuditJournal extends AuditLog {
  /** The file that it writes now. */
  readonly file: string;
  /** False while the disk fails it: readiness depends on it. */
  healthy(): boolean;
  /** False when no new file could be begun for a minute: a restart, or a person, has to help. */
  recovering(): boolean;
}

const ATTEMPT_EVERY_MS = 1_000;
const HOPELESS_AFTER_MS = 60_000;

/** Opens a new file, chained to the newest one of the folder. Throws `audit_unavailable`. */
export async function openAuditLog(options: AuditOptions): Promise<AuditJournal> {
  let current: AuditFile;
  let failedAt: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function failed(): void {
    failedAt ??= performance.now();
    if (!closed) timer = setTimeout(() => void reopen(), ATTEMPT_EVERY_MS).unref();
  }

  async function reopen(): Promise<void> {
    const before = current;
    try {
      const next = await startFile(options, failed, before.taken);
      await before.close().catch(() => {});
      if (closed) return void (await next.close());
      current = next;
      failedAt = undefined;
    } catch {
      // Not logged again: the file that failed has logged it.
      failed();
    }
  }

  try {
    current = await startFile(options, failed);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError('audit_unavailable', 'The audit log cannot be opened.', { cause });
  }
  return {
    get file() {
      return current.path;
    },
    healthy: () => current.failure === undefined,
    recovering: () => failedAt === undefined || performance.now() - failedAt < HOPELESS_AFTER_MS,
    append: (...record) => current.append(...record),
    async close() {
      closed = true;
      clearTimeout(timer);
      await current.close();
    },
  };
}
