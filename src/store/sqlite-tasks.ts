// Tasks and their calls in SQLite. A new revision or an end closes the open holds of the task in the same transaction.
// Calls are written behind: read from memory at once, on disk within a second. Trusts the caller's principal id (it was
// verified); refuses tasks of somebody else as if they were not there.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { Logger } from '../domain/log.ts';
import type { Task, TaskCall, TaskStore, TaskWords } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import type { Announce, SqliteWriter } from './sqlite-writer.ts';

const CALLS_KEPT = 200;
const TASKS_IN_MEMORY = 1_000;
const FLUSH_AFTER_MS = 250;
/** Beyond this many unwritten calls (the disk is failing) the oldest are dropped, and the log says so. */
const UNWRITTEN_CALLS = 10_000;

export interface SqliteTasks extends TaskStore {
  /** Writes the calls that are still in memory only. */
  flush(): Promise<void>;
}

export function createTaskStore(db: DatabaseSync, writer: SqliteWriter, holds: HoldRows, clock: Clock, log: Logger): SqliteTasks {
  const byId = db.prepare('SELECT * FROM task WHERE id = ?');
  const insert = db.prepare('INSERT INTO task (id, principal_id, revision, words, created_at, ended_at) VALUES (?, ?, ?, ?, ?, ?)');
  const update = db.prepare('UPDATE task SET revision = ?, words = ?, ended_at = ? WHERE id = ?');
  const calls = createCallLog(db, writer, log);

  function own(id: string, principalId: string): Task {
    const row = byId.get(id);
    if (row === undefined || row.principal_id !== principalId) throw new GatewayError('task_not_found', 'There is no such task of yours.');
    return parseTask(row);
  }

  function store(task: Task): Task {
    update.run(task.revision, formatWords(task), task.endedAt ?? null, task.id);
    return task;
  }

  function closeHolds(taskId: string, ending: Pick<Hold, 'state' | 'endedAt' | 'endedBecause'>, announce: Announce): void {
    for (const hold of holds.openOfTask(taskId)) holds.update(hold, { ...hold, ...ending }, announce);
  }

  return {
    open: (principalId, words) =>
      writer.write(() => {
        const task = { ...pick(words), id: `task_${randomBytes(16).toString('base64url')}`, revision: 1, principalId, createdAt: clock.now() };
        insert.run(task.id, principalId, task.revision, formatWords(task), task.createdAt, null);
        return task;
      }),
    revise: (id, principalId, words) =>
      writer.write((announce) => {
        const task = own(id, principalId);
        if (task.endedAt !== undefined) throw new GatewayError('task_ended', 'The task has ended and cannot be revised.');
        const revision = task.revision + 1;
        closeHolds(id, { state: 'INVALIDATED', endedAt: clock.now(), endedBecause: `The task was revised: revision ${revision}.` }, announce);
        return store({ ...task, ...pick(words), revision });
      }),
    end: (id, principalId) =>
      writer.write((announce) => {
        const task = own(id, principalId);
        if (task.endedAt !== undefined) return task;
        closeHolds(id, { state: 'REVOKED', endedAt: clock.now(), endedBecause: 'The agent ended the task.' }, announce);
        return store({ ...task, endedAt: clock.now() });
      }),
    get: async (id) =>
      writer.read(() => {
        const row = byId.get(id);
        return row && parseTask(row);
      }),
    calls: calls.of,
    record: calls.add,
    flush: calls.flush,
  };
}

interface CallLog {
  of(taskId: string): readonly TaskCall[];
  add(taskId: string, call: TaskCall): void;
  flush(): Promise<void>;
}

function createCallLog(db: DatabaseSync, writer: SqliteWriter, log: Logger): CallLog {
  const latest = db.prepare(`SELECT record FROM task_call WHERE task_id = ? ORDER BY seq DESC LIMIT ${CALLS_KEPT}`);
  const insert = db.prepare('INSERT INTO task_call (task_id, record) SELECT id, ? FROM task WHERE id = ?');
  const trim = db.prepare(
    `DELETE FROM task_call WHERE task_id = :id AND seq <= (SELECT seq FROM task_call WHERE task_id = :id ORDER BY seq DESC LIMIT 1 OFFSET ${CALLS_KEPT})`,
  );
  const memory = new LRUCache<string, readonly TaskCall[]>({ max: TASKS_IN_MEMORY });
  let unwritten: { readonly taskId: string; readonly call: TaskCall }[] = [];
  let writing: typeof unwritten = [];
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;

  function of(taskId: string): readonly TaskCall[] {
    const cached = memory.get(taskId);
    if (cached !== undefined) return cached;
    const stored = writer.read(() => latest.all(taskId)).map((row) => JSON.parse(String(row.record)) as TaskCall);
    const waiting = [...writing, ...unwritten].filter((entry) => entry.taskId === taskId).map((entry) => entry.call);
    const all = [...stored.reverse(), ...waiting].slice(-CALLS_KEPT);
    memory.set(taskId, all);
    return all;
  }

  function add(taskId: string, call: TaskCall): void {
    try {
      // A new array each time: a hold that took the list keeps what was true when it was made.
      memory.set(taskId, [...of(taskId).slice(1 - CALLS_KEPT), call]);
    } catch (thrown) {
      log.error('store.task_calls_unread', { task: taskId, error: (thrown as Error).message });
    }
    unwritten.push({ taskId, call });
    if (unwritten.length > UNWRITTEN_CALLS) {
      unwritten = unwritten.slice(-UNWRITTEN_CALLS / 2);
      log.error('store.task_calls_dropped', { kept: unwritten.length });
    }
    timer ??= setTimeout(() => void flush(), FLUSH_AFTER_MS).unref();
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    flushing ??= writeAll().finally(() => {
      flushing = undefined;
    });
    return flushing;
  }

  async function writeAll(): Promise<void> {
    while (unwritten.length > 0) {
      writing = unwritten.splice(0, CALLS_KEPT);
      try {
        await writer.write(() => {
          for (const { taskId, call } of writing) insert.run(JSON.stringify(call), taskId);
          for (const id of new Set(writing.map((entry) => entry.taskId))) trim.run({ id });
        });
        writing = [];
      } catch (thrown) {
        log.error('store.task_calls_unwritten', { calls: writing.length, error: (thrown as Error).message });
        unwritten = [...writing, ...unwritten];
        writing = [];
        return;
      }
    }
  }

  return { of, add, flush };
}

const pick = ({ objective, plan, labels }: TaskWords): TaskWords => ({ objective, plan, labels });
const formatWords = (words: TaskWords): string => JSON.stringify(pick(words));

function parseTask(row: Record<string, unknown>): Task {
  return {
    ...(JSON.parse(String(row.words)) as TaskWords),
    id: String(row.id),
    revision: Number(row.revision),
    principalId: String(row.principal_id),
    createdAt: Number(row.created_at),
    ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
  };
}
