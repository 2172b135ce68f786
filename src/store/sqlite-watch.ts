// Calls that passed and are to be looked at, in SQLite: each with its notices in one transaction, the latest 10,000 kept.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import { shortCode } from '../domain/notification.ts';
import type { PassedCall, WatchStore } from '../domain/watch.ts';
import type { NotificationRows } from './sqlite-notifications.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const KEPT = 10_000;
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;

export function createWatchStore(db: DatabaseSync, writer: SqliteWriter, notifications: NotificationRows, clock: Clock): WatchStore {
  const insert = db.prepare('INSERT INTO passed_call (record) VALUES (?)');
  const trim = db.prepare('DELETE FROM passed_call WHERE seq <= ?');
  const page = db.prepare('SELECT seq, record FROM passed_call WHERE seq < ? ORDER BY seq DESC LIMIT ?');

  return {
    record: (call, channels) =>
      writer.write(() => {
        const passed: PassedCall = { ...call, id: `pass_${randomBytes(16).toString('base64url')}`, at: clock.now() };
        const { lastInsertRowid } = insert.run(JSON.stringify(passed));
        trim.run(Number(lastInsertRowid) - KEPT);
        notifications.add({ kind: 'call.passed', subject: passed.id, code: shortCode(passed.actionDigest), tier: 'watch' }, channels);
        return passed;
      }),
    list: async ({ limit = DEFAULT_LIMIT, after }) =>
      writer.read(() => {
        const most = Math.min(Math.max(limit, 1), LARGEST_LIMIT);
        // A cursor that is not ours reads as the end of the list: it is a caller's text.
        const before = after === undefined ? Number.MAX_SAFE_INTEGER : /^\d{1,15}$/.test(after) ? Number(after) : 0;
        const rows = page.all(before, most + 1);
        const passed = rows.slice(0, most).map((row) => JSON.parse(String(row.record)) as PassedCall);
        const last = rows[most - 1];
        return rows.length > most && last !== undefined ? { passed, next: String(last.seq) } : { passed };
      }),
  };
}
