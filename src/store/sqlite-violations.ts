// Counts of refused calls in SQLite: one row for each call that counts, for each limit. A count is exact over a crash.
// A counter never has more rows than its limit needs, and rows whose window is over are deleted by the writes that
// follow.

import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { ViolationStore } from '../domain/violation.ts';
import type { NotificationRows } from './sqlite-notifications.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

/** Rows that one write deletes besides its own counter's: more than it adds, so that nothing piles up. */
const SWEPT = 8;

export function createViolationStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  notifications: NotificationRows,
  clock: Clock,
): ViolationStore {
  const insert = db.prepare('INSERT INTO violation (counter, agent_key, at, until) VALUES (?, ?, ?, ?)');
  const trim = db.prepare(
    `DELETE FROM violation WHERE seq IN (
       SELECT seq FROM violation WHERE counter = ? AND agent_key = ? ORDER BY seq DESC LIMIT ${SWEPT} OFFSET ?)`,
  );
  const within = db.prepare('SELECT count(*) AS n FROM violation WHERE counter = ? AND agent_key = ? AND until > ?');
  const sweep = db.prepare(
    `DELETE FROM violation WHERE seq IN (SELECT seq FROM violation WHERE until <= ? ORDER BY until LIMIT ${SWEPT})`,
  );
  const forget = db.prepare('DELETE FROM violation WHERE counter = ? AND agent_key = ?');

  return {
    count: ({ limit, agentKey }, withinMs, most) =>
      writer.write(() => {
        const now = clock.now();
        sweep.run(now);
        insert.run(limit, agentKey, now, now + withinMs);
        trim.run(limit, agentKey, most);
        return Number(within.get(limit, agentKey, now)?.n);
      }),
    reset: ({ limit, agentKey }, notice, channels) =>
      writer.write(() => {
        forget.run(limit, agentKey);
        notifications.addDigest(notice, channels);
      }),
  };
}
