// Calls that passed and that people want to look at, in SQLite. Each is written with its notices in one transaction.
// The latest 10,000 are kept, and the latest 1,000 of one agent, so that one agent's flood does not push out the calls
// of others.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import { shortCode } from '../domain/notification.ts';
import type { PassedCall, WatchStore } from '../domain/watch.ts';
import type { NotificationRows } from './sqlite-notifications.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const KEPT = 10_000;
const KEPT_PER_AGENT = 1_000;
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;
/** Characters of records that one page may have. The first record is returned whatever its size. */
const LARGEST_PAGE = 1024 * 1024;

export function createWatchStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  notifications: NotificationRows,
  clock: Clock,
): WatchStore {
  const insert = db.prepare('INSERT INTO passed_call (principal_id, record) VALUES (?, ?)');
  const trim = db.prepare('DELETE FROM passed_call WHERE seq <= ?');
  const trimAgent = db.prepare(
    `DELETE FROM passed_call WHERE seq IN (
       SELECT seq FROM passed_call INDEXED BY passed_call_agent WHERE principal_id = ?
       ORDER BY seq DESC LIMIT 8 OFFSET ${KEPT_PER_AGENT})`,
  );
  const page = db.prepare('SELECT seq, record FROM passed_call WHERE seq < ? ORDER BY seq DESC LIMIT ?');

  return {
    record: (call, channels) =>
      writer.write(() => {
        const passed: PassedCall = { ...call, id: `pass_${randomBytes(16).toString('base64url')}`, at: clock.now() };
        const { principalId, agentKey = principalId } = passed;
        const { lastInsertRowid } = insert.run(agentKey, JSON.stringify(passed));
        trimAgent.run(agentKey);
        trim.run(Number(lastInsertRowid) - KEPT);
        notifications.addDigest(
          {
            kind: passed.outcome === 'denied' ? 'call.denied' : 'call.passed',
            subject: passed.id,
            code: shortCode(passed.actionDigest),
            tier: 'watch',
          },
          channels,
        );
        return passed;
      }),
    list: async ({ limit = DEFAULT_LIMIT, after }) =>
      writer.read(() => {
        const most = Math.min(Math.max(limit, 1), LARGEST_LIMIT);
        // A cursor is a caller's text. One that this store did not make reads as the end of the list.
        const before = after === undefined ? Number.MAX_SAFE_INTEGER : /^\d{1,15}$/.test(after) ? Number(after) : 0;
        const passed: PassedCall[] = [];
        let read = 0;
        let last = 0;
        for (const row of page.iterate(before, most + 1)) {
          const record = String(row.record);
          read += record.length;
          if (passed.length === most || (passed.length > 0 && read > LARGEST_PAGE))
            return { passed, next: String(last) };
          passed.push(JSON.parse(record) as PassedCall);
          last = Number(row.seq);
        }
        return { passed };
      }),
  };
}
