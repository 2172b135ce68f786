// Reviewers' passkeys in SQLite: public keys and counters, nothing secret.

import type { DatabaseSync } from 'node:sqlite';
import type { PasskeyStore } from '../domain/passkey.ts';
import { GatewayError } from '../errors.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

export function createPasskeyStore(db: DatabaseSync, writer: SqliteWriter): PasskeyStore {
  const all = db.prepare('SELECT * FROM passkey WHERE reviewer_id = ? ORDER BY created_at');
  const find = db.prepare('SELECT 1 FROM passkey WHERE id = ?');
  const insert = db.prepare(
    `INSERT INTO passkey (id, reviewer_id, public_key, counter, transports, label, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const count = db.prepare('UPDATE passkey SET counter = max(counter, ?) WHERE id = ?');
  const remove = db.prepare('DELETE FROM passkey WHERE id = ? AND reviewer_id = ?');

  return {
    of: async (reviewerId) =>
      writer.read(() =>
        all.all(reviewerId).map((row) => ({
          id: String(row.id),
          reviewerId: String(row.reviewer_id),
          publicKey: String(row.public_key),
          counter: Number(row.counter),
          transports: JSON.parse(String(row.transports)) as string[],
          label: String(row.label),
          createdAt: Number(row.created_at),
        })),
      ),
    add: ({ id, reviewerId, publicKey, counter, transports, label, createdAt }) =>
      writer.write(() => {
        if (find.get(id) !== undefined) throw new GatewayError('bad_request', 'This passkey is registered already.');
        insert.run(id, reviewerId, publicKey, counter, JSON.stringify(transports), label, createdAt);
      }),
    used: (id, counter) =>
      writer.write(() => {
        count.run(counter, id);
      }),
    remove: (id, reviewerId) =>
      writer.write(() => {
        remove.run(id, reviewerId);
      }),
  };
}
