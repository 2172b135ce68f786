// The calls under roots of tasks, written behind: read from memory at once, written to disk within a second, at most 200
// for each root. Trusts that the caller takes part. Calls that cannot be written stay in memory and are written later.

import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../domain/log.ts';
import type { TaskCall } from '../domain/task.ts';
import type { SqliteWriter } from './sqlite-writer.ts';
import { WriteBehind } from './write-behind.ts';

const CALLS_KEPT = 200;
const ROOTS_IN_MEMORY = 1_000;
/** When more than this many calls are unwritten (the disk is failing), the oldest are dropped, and the log says so. */
const UNWRITTEN_CALLS = 10_000;

export interface CallLog {
  /** Throws `store_unavailable` when the calls are not in memory and cannot be read. */
  of(root: string): readonly TaskCall[];
  /** Never throws. */
  add(root: string, call: TaskCall): void;
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
  const memory = new LRUCache<string, readonly TaskCall[]>({ max: ROOTS_IN_MEMORY });
  let unwritten: { readonly root: string; readonly call: TaskCall }[] = [];
  let writing: typeof unwritten = [];
  const behind = new WriteBehind(writeAll);

  function of(root: string): readonly TaskCall[] {
    const cached = memory.get(root);
    if (cached !== undefined) return cached;
    const stored = writer.read(() => latest.all(root)).map((row) => JSON.parse(String(row.record)) as TaskCall);
    const waiting = [...writing, ...unwritten].filter((entry) => entry.root === root).map((entry) => entry.call);
    const all = [...stored.reverse(), ...waiting].slice(-CALLS_KEPT);
    memory.set(root, all);
    return all;
  }

  function add(root: string, call: TaskCall): void {
    try {
      // A new array each time: a hold that keeps the list keeps it as it was when the hold was opened.
      memory.set(root, [...of(root).slice(1 - CALLS_KEPT), call]);
    } catch (thrown) {
      log.error('store.task_calls_unread', { root, error: (thrown as Error).message });
    }
    unwritten.push({ root, call });
    if (unwritten.length > UNWRITTEN_CALLS) {
      unwritten = unwritten.slice(-UNWRITTEN_CALLS / 2);
      log.error('store.task_calls_dropped', { kept: unwritten.length });
    }
    behind.schedule();
  }

  async function writeAll(): Promise<boolean> {
    while (unwritten.length > 0) {
      writing = unwritten.splice(0, CALLS_KEPT);
      try {
        await writer.write(() => {
          for (const { root, call } of writing) {
            insert.run(JSON.stringify(call), root);
            touch.run(call.at, root);
          }
          for (const id of new Set(writing.map((entry) => entry.root))) trim.run({ id });
        });
        writing = [];
      } catch (thrown) {
        log.error('store.task_calls_unwritten', { calls: writing.length, error: (thrown as Error).message });
        unwritten = [...writing, ...unwritten];
        writing = [];
        return false;
      }
    }
    return true;
  }

  return { of, add, close: () => behind.close() };
}
