// Tasks in SQLite. A new revision or an end closes the open holds of the task in the same transaction. Trusts the
// caller's principal id (it was verified). A task of somebody else is refused like a task that does not exist.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { refuseTask } from '../domain/agent-limits.ts';
import type { Clock } from '../domain/clock.ts';
import type { CloseHold, Closing } from '../domain/hold.ts';
import type { Logger } from '../domain/log.ts';
import type { Task, TaskStore, TaskWords } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import { createCallLog } from './sqlite-task-calls.ts';
import type { UsageRows } from './sqlite-usage.ts';
import type { Announce, SqliteWriter } from './sqlite-writer.ts';

export interface SqliteTasks extends TaskStore {
  /** Writes the calls that are still in memory only. */
  close(): Promise<void>;
}

export function createTaskStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  holds: HoldRows,
  usage: UsageRows,
  close: CloseHold,
  clock: Clock,
  log: Logger,
): SqliteTasks {
  const byId = db.prepare('SELECT * FROM task WHERE id = ?');
  const insert = db.prepare(
    `INSERT INTO task (id, principal_id, revision, words, created_at, ended_at, used_at)
     VALUES (?, ?, ?, ?, ?, NULL, ?)`,
  );
  const update = db.prepare('UPDATE task SET revision = ?, words = ?, ended_at = ?, used_at = ? WHERE id = ?');
  const calls = createCallLog(db, writer, log);

  function own(id: string, principalId: string): Task {
    const row = byId.get(id);
    if (row === undefined || row.principal_id !== principalId)
      throw new GatewayError('task_not_found', 'There is no such task of yours.');
    return parseTask(row);
  }

  function store(task: Task): Task {
    update.run(task.revision, formatWords(task), task.endedAt ?? null, clock.now(), task.id);
    return task;
  }

  function closeHolds(taskId: string, closing: Closing, announce: Announce): void {
    for (const hold of holds.openOfTask(taskId)) holds.update(hold, close(hold, closing, clock.now()), announce);
  }

  return {
    open: (principalId, words, limits) =>
      writer.write(() => {
        refuseTask(usage.openTasks(principalId), usage.storedBytes(principalId), limits);
        const task = {
          ...pick(words),
          id: `task_${randomBytes(16).toString('base64url')}`,
          revision: 1,
          principalId,
          createdAt: clock.now(),
        };
        insert.run(task.id, principalId, task.revision, formatWords(task), task.createdAt, task.createdAt);
        return task;
      }),
    revise: (id, principalId, words) =>
      writer.write((announce) => {
        const task = own(id, principalId);
        if (task.endedAt !== undefined)
          throw new GatewayError('task_ended', 'The task has ended and cannot be revised.');
        const revision = task.revision + 1;
        closeHolds(id, { type: 'invalidate', because: `The task was revised: revision ${revision}.` }, announce);
        return store({ ...task, ...pick(words), revision });
      }),
    end: (id, principalId) =>
      writer.write((announce) => {
        const task = own(id, principalId);
        if (task.endedAt !== undefined) return task;
        closeHolds(id, { type: 'revoke', because: 'The agent ended the task.' }, announce);
        return store({ ...task, endedAt: clock.now() });
      }),
    revoke: (id, because) =>
      writer.write((announce) => {
        const row = byId.get(id);
        if (row === undefined) throw new GatewayError('task_not_found', 'There is no such task.');
        const task = parseTask(row);
        if (task.endedAt !== undefined) return task;
        closeHolds(id, { type: 'revoke', because }, announce);
        return store({ ...task, endedAt: clock.now() });
      }),
    get: async (id) =>
      writer.read(() => {
        const row = byId.get(id);
        return row && parseTask(row);
      }),
    storedBytes: async (principalId) => writer.read(() => usage.storedBytes(principalId)),
    calls: calls.of,
    record: calls.add,
    close: calls.close,
  };
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
