// The rows of tasks and of who was invited to them. Runs inside the transactions of sqlite-tasks.ts.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { Provenance, Task, TaskWords } from '../domain/task.ts';

export interface TaskRows {
  find(id: string): Task | undefined;
  insert(task: Task): void;
  update(task: Task, now: EpochMs): Task;
  /** The tasks below this one, ended or not. */
  below(task: Task): readonly Task[];
  /** The tasks under a root, with itself, in the order in which they were opened. */
  tree(root: string): readonly Task[];
  /** How many tasks the tree of a root has, ended ones included. */
  size(root: string): number;
  invite(id: string, guestId: string): void;
  invited(id: string, partyIds: readonly string[]): boolean;
  guests(id: string): number;
}

export function createTaskRows(db: DatabaseSync): TaskRows {
  const byId = db.prepare('SELECT * FROM task WHERE id = ?');
  const byRoot = db.prepare('SELECT * FROM task WHERE root = ?');
  const sizeOf = db.prepare('SELECT count(*) AS n FROM task WHERE root = ?');
  const insert = db.prepare(
    `INSERT INTO task (id, principal_id, revision, words, created_at, used_at, root, ancestors, provenance)
     VALUES (:id, :agentKey, :revision, :words, :createdAt, :createdAt, :root, :ancestors, :provenance)`,
  );
  const update = db.prepare('UPDATE task SET revision = ?, words = ?, ended_at = ? WHERE id = ?');
  // Retention goes by the root: a tree is kept as long as one of its tasks is used.
  const touch = db.prepare('UPDATE task SET used_at = max(used_at, ?) WHERE id = ?');
  const invite = db.prepare('INSERT INTO task_participant (task_id, principal_id) VALUES (?, ?)');
  const invited = db.prepare(
    'SELECT 1 FROM task_participant WHERE task_id = ? AND principal_id IN (SELECT value FROM json_each(?)) LIMIT 1',
  );
  const guests = db.prepare('SELECT count(*) AS n FROM task_participant WHERE task_id = ?');

  return {
    find(id) {
      const row = byId.get(id);
      return row && parseTask(row);
    },
    insert(task) {
      const { id, agentKey, revision, createdAt, root, provenance } = task;
      const ancestors = JSON.stringify(task.ancestors);
      insert.run({ id, agentKey, revision, words: formatWords(task), createdAt, root, ancestors, provenance });
      touch.run(createdAt, root);
    },
    update(task, now) {
      update.run(task.revision, formatWords(task), task.endedAt ?? null, task.id);
      touch.run(now, task.root);
      return task;
    },
    below: ({ id, root }) =>
      byRoot
        .all(root)
        .map(parseTask)
        .filter(({ ancestors }) => ancestors.includes(id)),
    tree: (root) =>
      byRoot
        .all(root)
        .map(parseTask)
        .sort((a, b) => a.createdAt - b.createdAt || a.ancestors.length - b.ancestors.length),
    size: (root) => Number(sizeOf.get(root)?.n),
    invite: (id, guestId) => void invite.run(id, guestId),
    invited: (id, partyIds) => invited.get(id, JSON.stringify(partyIds)) !== undefined,
    guests: (id) => Number(guests.get(id)?.n),
  };
}

const formatWords = ({ objective, plan, labels }: TaskWords): string => JSON.stringify({ objective, plan, labels });

function parseTask(row: Record<string, unknown>): Task {
  const ancestors = JSON.parse(String(row.ancestors)) as readonly string[];
  const parent = ancestors.at(-1);
  return {
    ...(JSON.parse(String(row.words)) as TaskWords),
    id: String(row.id),
    revision: Number(row.revision),
    root: String(row.root),
    ...(parent !== undefined && { parent }),
    ancestors,
    provenance: String(row.provenance) as Provenance,
    agentKey: String(row.principal_id),
    createdAt: Number(row.created_at),
    ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
  };
}
