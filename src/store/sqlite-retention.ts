// Retention in SQLite: deletes in small batches, so that no transaction is long, and by index, so that it reads no row
// that stays. Trusts the state machine: a hold that has ended never changes again.

import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { RetentionStore } from '../domain/retention.ts';
import { taskRemover } from './sqlite-task-rows.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const BATCH = 100;
/** The tree of a root has up to 200 calls and 1,000 tasks. */
const ROOTS = 5;
const TASKS_OF_ROOT = 20;

export function createRetention(db: DatabaseSync, writer: SqliteWriter, clock: Clock): RetentionStore {
  const ended = db.prepare(
    `SELECT id FROM hold INDEXED BY hold_ended WHERE ended_at IS NOT NULL AND ended_at <= ?
     ORDER BY ended_at LIMIT ${BATCH}`,
  );
  const ofHold = [
    'DELETE FROM vote WHERE hold_id = ?',
    'DELETE FROM held_content WHERE hold_id = ?',
    'DELETE FROM hold WHERE id = ?',
  ].map((sql) => db.prepare(sql));
  const bodies = db.prepare(
    `DELETE FROM held_content WHERE seq IN (
       SELECT seq FROM held_content INDEXED BY held_content_ended WHERE ended_at IS NOT NULL AND ended_at <= ?
       ORDER BY ended_at LIMIT ${BATCH})`,
  );
  const unused = db.prepare(
    `SELECT id FROM task AS top INDEXED BY task_used WHERE id = root AND used_at <= ? AND NOT EXISTS (
       SELECT 1 FROM hold JOIN task ON task.id = hold.task_id
       WHERE task.root = top.id AND state IN ('PENDING', 'APPROVED', 'RELEASING', 'SENT'))
     ORDER BY used_at LIMIT ${ROOTS}`,
  );
  // The root comes last: until then it keeps the rest of its tree from being forgotten.
  const ofRoot = db.prepare(`SELECT id FROM task WHERE root = ? ORDER BY id = root LIMIT ${TASKS_OF_ROOT}`);
  const removeTask = taskRemover(db);
  const others = [
    `DELETE FROM passed_call WHERE seq IN (
       SELECT seq FROM (SELECT seq, record FROM passed_call ORDER BY seq LIMIT ${BATCH}) WHERE record ->> '$.at' <= ?)`,
    `DELETE FROM suspension WHERE seq IN (SELECT seq FROM suspension WHERE lifted_at <= ? LIMIT ${BATCH})`,
    `DELETE FROM notification WHERE seq IN (
       SELECT seq FROM notification WHERE state = 'DEAD' AND ended_at <= ? LIMIT ${BATCH})`,
  ].map((sql) => db.prepare(sql));
  // A mark that has ended means nothing any more, whatever is kept of other things.
  const marks = db.prepare(
    `DELETE FROM mark WHERE (scope, key, taint) IN (
       SELECT scope, key, taint FROM mark INDEXED BY mark_until WHERE until <= ? ORDER BY until LIMIT ${BATCH})`,
  );

  return {
    sweep: (before) =>
      writer.write(() => {
        const holds = ended.all(before.holds);
        for (const { id } of holds) for (const remove of ofHold) remove.run(String(id));
        const tasks = unused.all(before.tasks).flatMap(({ id }) => ofRoot.all(String(id)));
        for (const { id } of tasks) removeTask(String(id));
        return {
          holds: holds.length,
          bodies: Number(bodies.run(before.bodies).changes),
          tasks: tasks.length,
          marks: Number(marks.run(clock.now()).changes),
          others: others.reduce((sum, remove) => sum + Number(remove.run(before.holds).changes), 0),
        };
      }),
  };
}
