// Holds in SQLite: the record as JSON, and beside it the columns that queries need. sqlite-contents.ts keeps the large
// parts. Trusts approvals/ for what a transition means. Refuses every change of what a hold is bound to.

import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { canonicalDigest } from '../domain/canonical.ts';
import type { Clock } from '../domain/clock.ts';
import type { Hold, HoldProgress, HoldState } from '../domain/hold.ts';
import type { HoldListPage, HoldQuery, HoldStore, OpenedHold } from '../domain/hold-store.ts';
import { noticeOf } from '../domain/notification.ts';
import { agentKeyOf } from '../domain/person.ts';
import { GatewayError } from '../errors.ts';
import type { MeterRows } from './meter-rows.ts';
import { parseHold } from './parse-hold.ts';
import type { ContentRows } from './sqlite-contents.ts';
import type { NotificationRows } from './sqlite-notifications.ts';
import type { UsageRows } from './sqlite-usage.ts';
import type { VoteRows } from './sqlite-votes.ts';
import type { Announce, SqliteWriter } from './sqlite-writer.ts';

const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;
/** Characters of records that one page may have. The first record is returned whatever its size. */
const LARGEST_PAGE = 1024 * 1024;
/** How many earlier holds of the same request an admission sees. */
const KNOWN_SHOWN = 64;
/** How many earlier holds one view of a hold looks through. */
const SIMILAR_LOOKED_AT = 500;
const SELECT = 'SELECT seq, record FROM hold';
/** The hold ended before anything was sent: nobody will decide on its body, and nobody will send it. */
const UNSENT: ReadonlySet<HoldState> = new Set(['DENIED', 'EXPIRED', 'CANCELLED', 'REVOKED', 'INVALIDATED']);

/** For the parts of the store that change holds inside their own transactions. */
export interface HoldRows {
  find(id: string): Hold | undefined;
  openOfTask(taskId: string): readonly Hold[];
  /** The open holds that the caller picks. */
  open(picks: (hold: Hold) => boolean): readonly Hold[];
  insert(opened: OpenedHold, announce: Announce): void;
  update(before: Hold, next: Hold, announce: Announce): Hold;
}

export function createHoldRows(
  db: DatabaseSync,
  contents: ContentRows,
  notifications: NotificationRows,
  votes: VoteRows,
  meters: MeterRows,
): HoldRows {
  const byId = db.prepare(`${SELECT} WHERE id = ?`);
  const byTask = db.prepare(`${SELECT} WHERE task_id = ? AND state IN ('PENDING', 'APPROVED') ORDER BY seq`);
  const allOpen = db.prepare(`${SELECT} WHERE state IN ('PENDING', 'APPROVED') ORDER BY seq`);
  const insertHold = db.prepare(
    `INSERT INTO hold (
       id, state, principal_id, agent_key, task_id, request_digest, idempotency_key, deadline, escalate_at, likeness, created_at,
       record)
     VALUES (
       :id, :state, :principalId, :agentKey, :taskId, :requestDigest, :idempotencyKey, :deadline, :escalateAt, :likeness,
       :createdAt, :record)`,
  );
  const updateHold = db.prepare(
    'UPDATE hold SET state = ?, use_by = ?, claimed_by = ?, escalate_at = ?, ended_at = ?, record = ? WHERE id = ?',
  );

  function tell(hold: Hold, before: Hold | undefined): void {
    if (hold.notify === undefined) return;
    const notice = noticeOf(hold, before);
    if (notice !== undefined) notifications.add(notice, hold.notify);
  }

  return {
    find(id) {
      const row = byId.get(id);
      return row && parseRow(row);
    },
    openOfTask: (taskId) => usable(byTask.all(taskId)),
    open: (picks) => usable(allOpen.all()).filter(picks),
    insert({ hold, content, reserves }, announce) {
      insertHold.run({
        id: hold.id,
        state: hold.state,
        principalId: hold.principal.id,
        agentKey: agentKeyOf(hold.principal),
        taskId: hold.task?.id ?? null,
        requestDigest: hold.requestDigest,
        idempotencyKey: hold.idempotencyKey ?? null,
        deadline: hold.deadline,
        escalateAt: hold.escalateAt ?? null,
        likeness: likenessOf(hold),
        createdAt: hold.createdAt,
        record: JSON.stringify(hold),
      });
      contents.insert(hold.id, content);
      meters.reserve(hold.id, reserves);
      tell(hold, undefined);
      announce(hold, undefined);
    },
    update(before, next, announce) {
      refuseRebinding(before, next);
      const written: Hold = { ...next, version: before.version + 1 };
      const progress: HoldProgress = written;
      updateHold.run(
        written.state,
        progress.useBy ?? null,
        progress.claimedBy ?? null,
        written.escalateAt ?? null,
        progress.endedAt ?? null,
        JSON.stringify(written),
        written.id,
      );
      if (progress.endedAt !== undefined && !('endedAt' in before)) contents.end(written.id, progress.endedAt);
      if (UNSENT.has(written.state) && !UNSENT.has(before.state)) {
        contents.dropBody(written.id);
        meters.giveBack(written.id);
      }
      if (written.state === 'SENT' && before.state !== 'SENT') meters.countReserved(written.id, written.sentAt);
      votes.add(before, written);
      tell(written, before);
      announce(written, before.state);
      return written;
    },
  };
}

/** One value for each kind of call, whatever its arguments: two calls that a rule can tell apart have two values. */
function likenessOf({ principal, action, rules }: Hold): string {
  const { upstream, method, tool } = action;
  return canonicalDigest('countersign/likeness/v1', {
    agent: principal.id,
    upstream,
    method,
    tool: tool ?? null,
    rules: rules.map(({ id }) => id),
  });
}

// If a bound member changed, votes would count for something that nobody looked at.
function refuseRebinding(before: Hold, next: Hold): void {
  const bound = [
    'id',
    'action',
    'principal',
    'task',
    'requirements',
    'bindingDigest',
    'requestDigest',
    'idempotencyKey',
    'deadline',
  ] as const;
  const changed = bound.find((member) => next[member] !== before[member]);
  if (changed !== undefined) throw new TypeError(`a stored hold never changes its ${changed}`);
}

export interface HoldTables {
  readonly rows: HoldRows;
  readonly contents: ContentRows;
  readonly votes: VoteRows;
  readonly usage: UsageRows;
}

export function createHoldStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  { rows, contents, votes, usage }: HoldTables,
  clock: Clock,
): HoldStore {
  // Written as a UNION and with INDEXED BY because SQLite's planner, left alone, walks every hold of the agent or of
  // the state.
  const latest = (where: string, most: number): string =>
    `SELECT * FROM (
       SELECT seq FROM hold WHERE principal_id = :principalId AND ${where} ORDER BY seq DESC LIMIT ${most})`;
  const known = db.prepare(
    `${SELECT} WHERE seq IN (
       ${latest('request_digest = :requestDigest', KNOWN_SHOWN)}
       UNION ${latest("request_digest = :requestDigest AND state = 'DENIED'", 1)}
       UNION ${latest('request_digest = :formerRequestDigest', KNOWN_SHOWN)}
       UNION ${latest("request_digest = :formerRequestDigest AND state = 'DENIED'", 1)}
       UNION ${latest('idempotency_key = :idempotencyKey', KNOWN_SHOWN)}
     ) ORDER BY seq DESC`,
  );
  const undecided = db.prepare(
    "SELECT id FROM hold INDEXED BY hold_deadline WHERE state = 'PENDING' AND deadline <= ? ORDER BY deadline LIMIT ?",
  );
  const unused = db.prepare(
    "SELECT id FROM hold INDEXED BY hold_use_by WHERE state = 'APPROVED' AND use_by <= ? ORDER BY use_by LIMIT ?",
  );
  const escalating = db.prepare(
    `SELECT id FROM hold INDEXED BY hold_escalate WHERE state = 'PENDING' AND escalate_at <= ?
     ORDER BY escalate_at LIMIT ?`,
  );
  const like = db.prepare(
    `SELECT count(*) FILTER (WHERE json_extract(record, '$.approvedAt') IS NOT NULL) AS approved,
       count(*) FILTER (WHERE state = 'DENIED') AS denied
     FROM (SELECT id, state, record FROM hold WHERE likeness = ? ORDER BY seq DESC LIMIT ${SIMILAR_LOOKED_AT})
     WHERE id <> ? AND json_extract(record, '$.createdAt') >= ?`,
  );
  const claimedByOthers = db.prepare(
    "SELECT id FROM hold WHERE state IN ('RELEASING', 'SENT') AND claimed_by IS NOT ? ORDER BY seq",
  );
  const counts = db.prepare(
    "SELECT state, count(*) AS n FROM hold WHERE state IN ('PENDING', 'APPROVED', 'RELEASING', 'SENT') GROUP BY state",
  );

  return {
    now: () => clock.now(),
    admit: (key, choose) =>
      writer.write((announce) => {
        const now = clock.now();
        const shown = known
          .all({
            principalId: key.principalId,
            requestDigest: key.requestDigest,
            formerRequestDigest: key.formerRequestDigest ?? null,
            idempotencyKey: key.idempotencyKey ?? null,
          })
          .map(parseRow);
        const { opened, changed, answer } = choose(shown, () => usage.of(key.agentKey, now), now);
        if (opened !== undefined) rows.insert(opened, announce);
        if (changed !== undefined) rows.update(changed.from, changed.to, announce);
        return answer;
      }),
    get: async (id) => writer.read(() => rows.find(id)),
    content: async (id) => writer.read(() => contents.find(id)),
    list: async (query) => writer.read(() => list(db, query)),
    change: (id, step) =>
      writer.write((announce) => {
        const hold = rows.find(id);
        if (hold === undefined) throw new GatewayError('hold_not_found', 'There is no such hold.', { holdId: id });
        const { next, answer } = step(hold, clock.now());
        return { hold: next === undefined ? hold : rows.update(hold, next, announce), answer };
      }),
    due: async (limit) =>
      writer.read(() => {
        const now = clock.now();
        return [...undecided.all(now, limit), ...unused.all(now, limit)].slice(0, limit).map((row) => String(row.id));
      }),
    toEscalate: async (limit) => writer.read(() => escalating.all(clock.now(), limit).map((row) => String(row.id))),
    similar: async (hold, since) =>
      writer.read(() => {
        const row = like.get(likenessOf(hold), hold.id, since);
        return { approvedTimes: Number(row?.approved), deniedTimes: Number(row?.denied), since };
      }),
    voteTimes: async (reviewerId, since) => writer.read(() => votes.times(reviewerId, since)),
    orphans: async (claimedBy) => writer.read(() => claimedByOthers.all(claimedBy).map((row) => String(row.id))),
    subscribe: (listener) => writer.subscribe(listener),
    counts: async () =>
      writer.read(() => Object.fromEntries(counts.all().map((row) => [row.state as HoldState, Number(row.n)]))),
  };
}

function list(db: DatabaseSync, query: HoldQuery): HoldListPage {
  const limit = Math.min(Math.max(query.limit ?? DEFAULT_LIMIT, 1), LARGEST_LIMIT);
  const terms: string[] = [];
  const values: SQLInputValue[] = [];
  const add = (term: string, ...bound: SQLInputValue[]) => {
    terms.push(term);
    values.push(...bound);
  };
  if (query.states !== undefined) add(`state IN (${query.states.map(() => '?').join(', ')})`, ...query.states);
  if (query.principalId !== undefined) add('principal_id = ?', query.principalId);
  if (query.taskId !== undefined) add('task_id = ?', query.taskId);
  if (query.root !== undefined) add('task_id IN (SELECT id FROM task WHERE root = ?)', query.root);
  // A cursor is a caller's text. One that this store did not make reads as the end of the list.
  if (query.after !== undefined) add('seq < ?', /^\d{1,15}$/.test(query.after) ? Number(query.after) : 0);
  const where = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
  // Chooses the page by number first, so that only the records of the page are read and sorted.
  const page = `SELECT seq FROM hold ${where} ORDER BY seq DESC LIMIT ?`;
  const holds: Hold[] = [];
  let read = 0;
  let last = 0;
  for (const row of db.prepare(`${SELECT} WHERE seq IN (${page}) ORDER BY seq DESC`).iterate(...values, limit + 1)) {
    const record = String(row.record);
    read += record.length;
    if (holds.length === limit || (holds.length > 0 && read > LARGEST_PAGE)) return { holds, next: String(last) };
    // One damaged record must not hide all the others from their reviewers. By its id, the fault is told.
    holds.push(...parseRowOrNothing(record));
    last = Number(row.seq);
  }
  return { holds };
}

const parseRow = (row: Record<string, unknown>): Hold => parseHold(String(row.record));

/**
 * Leaves out the records that fit no state. Nobody can decide on such a hold or send its call, so it must not keep a
 * suspension from taking effect, or a task from ending.
 */
const usable = (rows: readonly Record<string, unknown>[]): readonly Hold[] =>
  rows.flatMap((row) => parseRowOrNothing(String(row.record)));

function parseRowOrNothing(record: string): readonly Hold[] {
  try {
    return [parseHold(record)];
  } catch {
    return [];
  }
}
