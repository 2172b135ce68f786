// Group commit: writes that arrive in one turn of the event loop share one transaction and one fsync. Each has its own
// SAVEPOINT, so a write that throws is undone alone. A promise resolves only after COMMIT. Trusts nothing about the
// disk: whatever SQLite reports becomes `store_unavailable` for every write that is not on disk.

import type { DatabaseSync } from 'node:sqlite';
import type { Hold, HoldState } from '../domain/hold.ts';
import type { Logger } from '../domain/log.ts';
import { GatewayError } from '../errors.ts';

/**
 * A batch ends after this many writes or this much time, and the rest waits for the next turn: a mass release never
 * blocks the loop.
 */
const BATCH_WRITES = 200;
const BATCH_MS = 10;

/** Announces, after the commit, that a hold was written; `before` is undefined for a new hold. */
export type Announce = (hold: Hold, before: HoldState | undefined) => void;

export interface SqliteWriter {
  /**
   * Runs `job` inside a transaction. If `job` throws, nothing of it is written and the error is thrown on. Throws
   * `store_unavailable`.
   */
  write<T>(job: (announce: Announce) => T): Promise<T>;
  /** Runs a read between transactions: the read sees every write that has resolved. Throws `store_unavailable`. */
  read<T>(query: () => T): T;
  subscribe(listener: Announce): () => void;
  /** Throws `store_unavailable` when the database is closed or cannot be written. */
  check(): void;
  /** Commits what is queued, then closes. Later writes are refused. */
  close(): Promise<void>;
}

interface Write {
  run(announce: Announce): unknown;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

interface Done {
  readonly write: Write;
  readonly value?: unknown;
  readonly thrown?: unknown;
  readonly changes: readonly (readonly [Hold, HoldState | undefined])[];
}

export interface WriterParts {
  /** False when the file on disk is no longer the file that was opened. From then on nothing is written or read. */
  isIntact?(): boolean;
  /** Runs in every transaction that commits something. */
  stamp?(): void;
}

const LOST =
  'The store’s file was deleted or replaced while the gateway ran. ' +
  'Stop the gateway, put the file back, and start it again.';

export function createWriter(
  db: DatabaseSync,
  log: Logger,
  { isIntact = () => true, stamp = () => {} }: WriterParts = {},
): SqliteWriter {
  const schemaVersion = Number(db.prepare('PRAGMA user_version').get()?.user_version);
  const listeners = new Set<Announce>();
  const savepoint = db.prepare('SAVEPOINT write');
  const release = db.prepare('RELEASE write');
  const rollBack = db.prepare('ROLLBACK TO write');
  let queue: Write[] = [];
  let scheduled: Promise<void> | undefined;
  let closed = false;
  let failing = false;
  let lost = false;

  function refuseLost(): void {
    const isLost = db.isOpen && !isIntact();
    if (isLost && !lost) log.error('store.file_lost', {});
    lost = isLost;
    if (lost) throw unavailable(LOST);
  }

  function write<T>(job: (announce: Announce) => T): Promise<T> {
    if (closed) return Promise.reject(unavailable('The store is closed.'));
    return new Promise<T>((resolve, reject) => {
      queue.push({ run: job, resolve: resolve as (value: unknown) => void, reject });
      scheduled ??= drain();
    });
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      await new Promise<void>((next) => setImmediate(next));
      commitBatch();
    }
    scheduled = undefined;
  }

  function commitBatch(): void {
    const done: Done[] = [];
    const until = performance.now() + BATCH_MS;
    let taken = 0;
    try {
      refuseLost();
      db.exec('BEGIN IMMEDIATE');
      while (taken < queue.length && taken < BATCH_WRITES && (taken === 0 || performance.now() < until)) {
        done.push(runOne(queue[taken++] as Write));
      }
      stamp();
      db.exec('COMMIT');
    } catch (thrown) {
      const failed = queue.slice(0, taken === 0 ? BATCH_WRITES : taken);
      queue = queue.slice(failed.length);
      failing = true;
      undo(thrown);
      const refusal =
        thrown instanceof GatewayError
          ? thrown
          : unavailable('The store could not write; nothing was changed.', thrown);
      for (const each of failed) each.reject(refusal);
      return;
    }
    queue = queue.slice(taken);
    failing = false;
    for (const each of done) settle(each);
  }

  function runOne(each: Write): Done {
    const changes: [Hold, HoldState | undefined][] = [];
    savepoint.run();
    try {
      const value = each.run((hold, before) => changes.push([hold, before]));
      release.run();
      return { write: each, value, changes };
    } catch (thrown) {
      // A disk fault ends the whole batch: after SQLITE_FULL or an I/O error the transaction may already be rolled
      // back.
      if (isSqliteFault(thrown) && !(isStatementFault(thrown) && db.isTransaction)) throw thrown;
      rollBack.run();
      release.run();
      return {
        write: each,
        thrown: isSqliteFault(thrown) ? unavailable('The store refused the record.', thrown) : thrown,
        changes: [],
      };
    }
  }

  function settle(done: Done): void {
    for (const [hold, before] of done.changes) for (const listener of listeners) notify(listener, hold, before);
    if ('thrown' in done) done.write.reject(done.thrown);
    else done.write.resolve(done.value);
  }

  function notify(listener: Announce, hold: Hold, before: HoldState | undefined): void {
    try {
      listener(hold, before);
    } catch (thrown) {
      log.error('store.listener_failed', { hold: hold.id, error: (thrown as Error).name });
    }
  }

  function undo(cause: unknown): void {
    log.error('store.write_failed', { error: (cause as Error).message });
    try {
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK');
    } catch (thrown) {
      log.error('store.rollback_failed', { error: (thrown as Error).message });
    }
  }

  return {
    write,
    read(query) {
      refuseLost();
      try {
        return query();
      } catch (thrown) {
        throw isSqliteFault(thrown) ? unavailable('The store could not read.', thrown) : thrown;
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    check() {
      if (closed) throw unavailable('The store is closed.');
      refuseLost();
      try {
        db.prepare('SELECT count(*) FROM sqlite_schema').get();
        // After a failed commit only a successful commit proves that the disk works. This commit rewrites the header
        // page unchanged.
        if (failing) db.exec(`PRAGMA user_version = ${schemaVersion}`);
        failing = false;
      } catch (thrown) {
        throw unavailable('The store cannot be written.', thrown);
      }
    },
    async close() {
      closed = true;
      await scheduled;
      if (db.isOpen) db.close();
    },
  };
}

function unavailable(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('store_unavailable', detail, cause === undefined ? {} : { cause });
}

/** SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_RANGE: the fault of one statement, not of the disk. */
const STATEMENT_FAULTS = new Set([18, 19, 20, 25]);

function isStatementFault(thrown: unknown): boolean {
  return STATEMENT_FAULTS.has(((thrown as { errcode?: number }).errcode ?? 0) & 0xff);
}

function isSqliteFault(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return code === 'ERR_SQLITE_ERROR' || code === 'ERR_INVALID_STATE';
}
