// The outbox in SQLite. `add` runs inside the transaction of the change that the notice reports, so neither exists
// without the other. Trusts the worker for what an attempt did. Delivered notices are deleted after a week. Dead
// notices stay until somebody revives them.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type {
  Notice,
  NoticeKind,
  Notification,
  NotificationOutbox,
  NotificationState,
} from '../domain/notification.ts';
import { GatewayError } from '../errors.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const KEEP_DELIVERED_MS = 7 * 24 * 60 * 60_000;
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;

/** For the parts of the store that notify people inside their own transactions. */
export interface NotificationRows {
  /** One row per channel. */
  add(notice: Notice, channels: readonly string[]): void;
  /**
   * A notice of which an agent can cause many: at most one row for each channel, kind and minute. The row counts the
   * events that follow.
   */
  addDigest(notice: Notice, channels: readonly string[]): void;
}

const DIGEST_MS = 60_000;

/** In which order notices are delivered; those of holds, with rank 0, come first. Also tells digests apart. */
const RANKS: Readonly<Partial<Record<NoticeKind, number>>> = {
  'violations.reached': 1,
  'call.denied': 2,
  'call.passed': 3,
};

export function createNotificationRows(db: DatabaseSync, clock: Clock): NotificationRows {
  const insert = db.prepare(
    `INSERT INTO notification (id, channel, notice, state, attempts, created_at, due_at, rank)
     VALUES (:id, :channel, :notice, 'PENDING', 0, :now, :dueAt, :rank)`,
  );
  const lastDigest = db.prepare(
    `SELECT seq, state, attempts, notice, due_at FROM notification INDEXED BY notification_digest
     WHERE channel = ? AND rank = ? AND rank > 0 ORDER BY seq DESC LIMIT 1`,
  );
  const recount = db.prepare('UPDATE notification SET notice = ? WHERE seq = ?');

  function put(notice: Notice, channel: string, rank: number, dueAt: EpochMs): void {
    const id = `msg_${randomBytes(16).toString('base64url')}`;
    insert.run({ id, channel, notice: JSON.stringify(notice), now: clock.now(), dueAt, rank });
  }

  return {
    add({ kind, subject, code, tier }, channels) {
      for (const channel of channels) put({ kind, subject, code, tier }, channel, 0, clock.now());
    },
    addDigest({ kind, subject, code, tier }, channels) {
      const now = clock.now();
      const rank = RANKS[kind] ?? 0;
      for (const channel of channels) {
        const last = lastDigest.get(channel, rank);
        const lastDue = last === undefined ? Number.NEGATIVE_INFINITY : Number(last.due_at);
        // Nothing was delivered before the row is due, so its number may still change.
        if (last?.state === 'PENDING' && Number(last.attempts) === 0 && lastDue > now) {
          const notice = JSON.parse(String(last.notice)) as Notice;
          recount.run(JSON.stringify({ ...notice, count: (notice.count ?? 1) + 1 }), last.seq as number);
        } else put({ kind, subject, code, tier }, channel, rank, Math.max(now, Math.min(lastDue, now) + DIGEST_MS));
      }
    },
  };
}

export function createOutbox(db: DatabaseSync, writer: SqliteWriter, clock: Clock): NotificationOutbox {
  const due = db.prepare(
    `SELECT * FROM notification INDEXED BY notification_due WHERE state = 'PENDING' AND due_at <= ?
       AND id NOT IN (SELECT value FROM json_each(?)) AND channel NOT IN (SELECT value FROM json_each(?))
     ORDER BY rank, due_at, seq LIMIT ?`,
  );
  const byId = db.prepare('SELECT * FROM notification WHERE id = ?');
  const all = db.prepare('SELECT * FROM notification ORDER BY seq DESC LIMIT ?');
  const byState = db.prepare('SELECT * FROM notification WHERE state = ? ORDER BY seq DESC LIMIT ?');
  const deliver = db.prepare(
    "UPDATE notification SET state = 'DELIVERED', ended_at = ?, last_error = NULL WHERE id = ?",
  );
  const forget = db.prepare("DELETE FROM notification WHERE state = 'DELIVERED' AND ended_at < ?");
  const retry = db.prepare('UPDATE notification SET attempts = attempts + 1, due_at = ?, last_error = ? WHERE id = ?');
  const bury = db.prepare(
    "UPDATE notification SET attempts = attempts + 1, state = 'DEAD', ended_at = ?, last_error = ? WHERE id = ?",
  );
  const revive = db.prepare("UPDATE notification SET state = 'PENDING', due_at = ?, ended_at = NULL WHERE id = ?");

  return {
    due: async (limit, { ids, channels }) =>
      writer.read(() =>
        due.all(clock.now(), JSON.stringify(ids), JSON.stringify(channels), limit).map(parseNotification),
      ),
    delivered: (id) =>
      writer.write(() => {
        const now = clock.now();
        deliver.run(now, id);
        forget.run(now - KEEP_DELIVERED_MS);
      }),
    failed: (id, error, retryAt) =>
      writer.write(() => {
        if (retryAt === undefined) bury.run(clock.now(), error, id);
        else retry.run(retryAt, error, id);
      }),
    list: async ({ state, limit = DEFAULT_LIMIT }) =>
      writer.read(() => {
        const most = Math.min(Math.max(limit, 1), LARGEST_LIMIT);
        return (state === undefined ? all.all(most) : byState.all(state, most)).map(parseNotification);
      }),
    revive: (id) =>
      writer.write(() => {
        const row = byId.get(id);
        if (row?.state !== 'DEAD') throw new GatewayError('not_found', 'There is no dead notification of this id.');
        revive.run(clock.now(), id);
        return parseNotification(byId.get(id) ?? row);
      }),
  };
}

function parseNotification(row: Record<string, unknown>): Notification {
  return {
    ...(JSON.parse(String(row.notice)) as Notice),
    id: String(row.id),
    channel: String(row.channel),
    state: row.state as NotificationState,
    attempts: Number(row.attempts),
    createdAt: Number(row.created_at),
    dueAt: Number(row.due_at),
    ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
    ...(row.last_error === null ? {} : { lastError: String(row.last_error) }),
  };
}
