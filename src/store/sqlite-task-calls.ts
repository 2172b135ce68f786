// The calls of tasks, written behind: read from memory at once, written to disk within a second, at most 200 for each
// task. Trusts that the caller owns the task. Calls that cannot be written stay in memory and are written later.

import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../domain/log.ts';
import type { TaskCall } from '../domain/task.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const CALLS_KEPT = 200;
const TASKS_IN_MEMORY = 1_000;
const FLUSH_AFTER_MS = 250;
/** When more than this many calls are unwritten (the disk is failing), the oldest are dropped, and the log says so. */
const UNWRITTEN_CALLS = 10_000;

export interface CallLog {
  /** Throws `store_unavailable` when the calls are not in memory and cannot be read. */
  of(taskId: string): readonly TaskCall[];
  /** Never throws. */
  add(taskId: string, call: TaskCall): void;
  /** Writes what is still only in memory. Nothing is written after that. A failure is logged. */
  close(): Promise<void>;
}

export function createCallLog(db: DatabaseSync, writer: SqliteWriter, log: Logger): CallLog {
  const latest = db.prepare(`SELECT record FROM task_call WHERE task_id = ? ORDER BY seq DESC LIMIT ${CALLS_KEPT}`);
  const insert = db.prepare('INSERT INTO task_call (task_id, record) SELECT id, ? FROM task WHERE id = ?');
  const touch = db.prepare('UPDATE task SET used_at = max(used_at, ?) WHERE id = ?');
  const trim = db.prepare(
    `DELETE FROM task_call WHERE task_id = :id AND seq <= (
       SELECT seq FROM task_call WHERE task_id = :id ORDER BY seq DESC LIMIT 1 OFFSET ${CALLS_KEPT})`,
  );
  const memory = new LRUCache<string, readonly TaskCall[]>({ max: TASKS_IN_MEMORY });
  let unwritten: { readonly taskId: string; readonly call: TaskCall }[] = [];
  let writing: typeof unwritten = [];
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

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
      // A new array each time: a hold that keeps the list keeps it as it was when the hold was opened.
      memory.set(taskId, [...of(taskId).slice(1 - CALLS_KEPT), call]);
    } catch (thrown) {
      log.error('store.task_calls_unread', { task: taskId, error: (thrown as Error).message });
    }
    unwritten.push({ taskId, call });
    if (unwritten.length > UNWRITTEN_CALLS) {
      unwritten = unwritten.slice(-UNWRITTEN_CALLS / 2);
      log.error('store.task_calls_dropped', { kept: unwritten.length });
    }
    schedule();
  }

  function schedule(): void {
    if (!closed) timer ??= setTimeout(flush, FLUSH_AFTER_MS).unref();
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
          for (const { taskId, call } of writing) {
            insert.run(JSON.stringify(call), taskId);
            touch.run(call.at, taskId);
          }
          for (const id of new Set(writing.map((entry) => entry.taskId))) trim.run({ id });
        });
        writing = [];
      } catch (thrown) {
        log.error('store.task_calls_unwritten', { calls: writing.length, error: (thrown as Error).message });
        unwritten = [...writing, ...unwritten];
        writing = [];
        schedule();
        return;
      }
    }
  }

  function close(): Promise<void> {
    closed = true;
    return flush();
  }

  return { of, add, close };
}
