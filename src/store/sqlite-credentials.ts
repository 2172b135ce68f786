// Durable intents to take credentials back, so that a crash between mint and revoke leaves no live credential that
// nobody knows of. Trusts that `sealed` was encrypted by credentials/: this file never sees a secret.

import type { DatabaseSync } from 'node:sqlite';
import type { CredentialLedger, OutstandingCredential } from '../domain/credential.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

export function createCredentialLedger(db: DatabaseSync, writer: SqliteWriter): CredentialLedger {
  const insert = db.prepare(
    `INSERT INTO credential (id, name, provider, sealed, hold_id, task_id, issued_at, expires_at, attempts)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at`,
  );
  const remove = db.prepare('DELETE FROM credential WHERE id = ?');
  const count = db.prepare('UPDATE credential SET attempts = attempts + 1 WHERE id = ?');
  const all = db.prepare('SELECT * FROM credential ORDER BY issued_at');

  return {
    intend: ({ id, name, provider, sealed, holdId, taskId, issuedAt, expiresAt, attempts }) =>
      writer.write(() => {
        insert.run(id, name, provider, sealed, holdId ?? null, taskId ?? null, issuedAt, expiresAt ?? null, attempts);
      }),
    settle: (id) =>
      writer.write(() => {
        remove.run(id);
      }),
    failed: (id) =>
      writer.write(() => {
        count.run(id);
      }),
    outstanding: async () => writer.read(() => all.all().map(parseCredential)),
  };
}

function parseCredential(row: Record<string, unknown>): OutstandingCredential {
  return {
    id: String(row.id),
    name: String(row.name),
    provider: String(row.provider),
    sealed: String(row.sealed),
    ...(row.hold_id === null ? {} : { holdId: String(row.hold_id) }),
    ...(row.task_id === null ? {} : { taskId: String(row.task_id) }),
    issuedAt: Number(row.issued_at),
    ...(row.expires_at === null ? {} : { expiresAt: Number(row.expires_at) }),
    attempts: Number(row.attempts),
  };
}
