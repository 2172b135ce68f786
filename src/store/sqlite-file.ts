// Opens the database file: private to this user, locked for this process alone, every commit synced to disk. Trusts the
// operating system's file locks. Refuses a file that another process has open: two gateways on one SQLite file would
// each believe that the other's claims are those of a dead process.

import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../errors.ts';
import { migrate } from './migrations.ts';

const BUSY_TIMEOUT_MS = 250;
const SQLITE_BUSY = 5;

/** Throws `store_unavailable`. The lock is released when the process ends, whatever ends it. */
export function openDatabase(path: string): DatabaseSync {
  const file = resolve(path);
  let db: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    createPrivately(file);
    db = new DatabaseSync(file, {
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
    });
    // Set before the first read: WAL then keeps its index in memory, and the lock on the file is held until the end.
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    migrate(db);
    return db;
  } catch (thrown) {
    db?.close();
    throw openFault(thrown, file);
  }
}

/**
 * Tells whether the database at this path, and the log beside it, are still the files that were opened. For a file that
 * was opened just now.
 */
export function watchDatabase(path: string): () => boolean {
  const file = resolve(path);
  const opened = [file, `${file}-wal`].map((each) => [each, identityOf(each)] as const);
  return () => opened.every(([each, identity]) => identityOf(each) === identity);
}

/**
 * Undefined for a file that is missing or empty: a database that was cut to nothing is another file. The log may be
 * empty.
 */
function identityOf(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined || !stat.isFile()) return undefined;
  return file.endsWith('-wal') || stat.size > 0n ? `${stat.dev} ${stat.ino}` : undefined;
}

// An existing file is never opened here: closing a descriptor would drop the locks that this process holds on it (POSIX
// fcntl).
function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    chmodSync(file, 0o600);
  }
}

function openFault(thrown: unknown, file: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const busy = ((thrown as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY;
  const detail = busy
    ? `Another process has the store ${file} open; two gateways never share one SQLite file. ` +
      'Stop the other one, or use a store of type postgres.'
    : `The store ${file} cannot be opened.`;
  return new GatewayError('store_unavailable', detail, { cause: thrown });
}
