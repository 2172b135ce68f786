// Brings a file of the SQLite store to the newest schema: steps are counted by `PRAGMA user_version`. Trusts a file that
// carries this store's application id. Refuses files of other programs, and files that a newer Countersign has written:
// this one would overlook what it does not know.

import type { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../errors.ts';
import { STEPS } from './schema-steps.ts';

/** "CSgn": marks the file as one of Countersign's (SQLite file format, section 1.3.17). */
const APPLICATION_ID = 0x4353676e;

/**
 * Brings the file to the newest schema in one transaction. Throws `store_unavailable` for a file that is not ours or
 * too new.
 */
export function migrate(db: DatabaseSync): void {
  db.exec('BEGIN EXCLUSIVE');
  const application = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const empty = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (application !== APPLICATION_ID && !(empty && application === 0)) {
    throw new GatewayError('store_unavailable', 'The store’s path names a database that Countersign did not make.');
  }
  if (version > STEPS.length) {
    throw new GatewayError(
      'store_unavailable',
      `The store has schema ${version}; this Countersign knows schemas up to ${STEPS.length}.`,
    );
  }
  for (const step of STEPS.slice(version)) db.exec(step);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  db.exec(`PRAGMA user_version = ${STEPS.length}`);
  db.exec('COMMIT');
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
