// The rows of tasks and of who was invited to them. Runs inside the transactions of sqlite-tasks.ts.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { Provenance, Task, TaskWords } from '../domain/task.ts';
import type { Attestation } from '../domain/task-token.ts';

export interface TaskRows {
  find(id: string): Task | undefined;
  isOpen(id: string, now: EpochMs): boolean;
  attested(of: Pick<Attestation, 'issuer' | 'txn'>): Task | undefined;
  /** The token that came last says until when. */
  prolong(attestation: Attestation): void;
  uses(id: string): number;
  addUse(id: string): void;
  /** Open tasks whose time has come. */
  due(now: EpochMs): readonly Task[];
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
  bind(session: string, taskId: string): void;
  bound(session: string): string | undefined;
  /** How many sessions have this task. */
  sessions(id: string): number;
  /** Deletes the agent's implicit task that was used longest ago, unless all of them have holds or tasks below them. */
  forgetImplicit(agentKey: string): void;
}

export function createTaskRows(db: DatabaseSync): TaskRows {
  const byId = db.prepare('SELECT * FROM task WHERE id = ?');
  const open = db.prepare('SELECT 1 FROM task WHERE id = ? AND ended_at IS NULL AND (ends_by IS NULL OR ends_by > ?)');
  const byRoot = db.prepare('SELECT * FROM task WHERE root = ?');
  const sizeOf = db.prepare('SELECT count(*) AS n FROM task WHERE root = ?');
  const insert = db.prepare(
    `INSERT INTO task (
       id, principal_id, revision, words, created_at, used_at, root, ancestors, provenance, ends_by, txn, attestation)
     VALUES (
       :id, :agentKey, :revision, :words, :createdAt, :createdAt, :root, :ancestors, :provenance, :endsBy, :txn,
       :attestation)`,
  );
  const update = db.prepare('UPDATE task SET revision = ?, words = ?, ended_at = ?, ends_by = ? WHERE id = ?');
  // Retention goes by the root: a tree is kept as long as one of its tasks is used.
  const touch = db.prepare('UPDATE task SET used_at = max(used_at, ?) WHERE id = ?');
  const invite = db.prepare('INSERT INTO task_participant (task_id, principal_id) VALUES (?, ?)');
  const invited = db.prepare(
    'SELECT 1 FROM task_participant WHERE task_id = ? AND principal_id IN (SELECT value FROM json_each(?)) LIMIT 1',
  );
  const guests = db.prepare('SELECT count(*) AS n FROM task_participant WHERE task_id = ?');

  const bind = db.prepare(
    'INSERT INTO task_session (session, task_id) VALUES (?, ?) ON CONFLICT DO UPDATE SET task_id = excluded.task_id',
  );
  const bound = db.prepare('SELECT task_id FROM task_session WHERE session = ?');
  const sessions = db.prepare('SELECT count(*) AS n FROM task_session WHERE task_id = ?');
  const idle = db.prepare(
    `SELECT id FROM task AS implicit INDEXED BY task_open
     WHERE principal_id = ? AND ended_at IS NULL AND provenance = 'implicit'
       AND NOT EXISTS (SELECT 1 FROM task WHERE root = implicit.id AND id <> implicit.id)
       AND NOT EXISTS (
         SELECT 1 FROM hold WHERE task_id = implicit.id AND state IN ('PENDING', 'APPROVED', 'RELEASING', 'SENT'))
     ORDER BY used_at LIMIT 1`,
  );
  const remove = taskRemover(db);
  const aboveIt = db.prepare(
    'SELECT attestation FROM task WHERE id IN (SELECT value FROM json_each(?)) AND attestation IS NOT NULL',
  );
  const byTxn = db.prepare('SELECT * FROM task WHERE txn = ?');
  const prolong = db.prepare('UPDATE task SET attestation = ? WHERE id = ?');
  const uses = db.prepare('SELECT calls FROM task_use WHERE task_id = ?');
  const addUse = db.prepare('INSERT INTO task_use VALUES (?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1');
  const due = db.prepare(
    'SELECT * FROM task INDEXED BY task_ends_by WHERE ended_at IS NULL AND ends_by <= ? ORDER BY ends_by LIMIT 50',
  );

  const read = (row: Record<string, unknown>): Task =>
    parseTask(row, row.ancestors === '[]' ? [] : aboveIt.all(String(row.ancestors)).flatMap(attestationIn));

  return {
    find(id) {
      const row = byId.get(id);
      return row && read(row);
    },
    attested(of) {
      const row = byTxn.get(txnKey(of));
      return row && read(row);
    },
    prolong: (attestation) => void prolong.run(JSON.stringify(attestation), attestation.task),
    uses: (id) => Number(uses.get(id)?.calls ?? 0),
    addUse: (id) => void addUse.run(id),
    due: (now) => due.all(now).map(read),
    isOpen: (id, now) => open.get(id, now) !== undefined,
    insert(task) {
      const { id, agentKey, revision, createdAt, root, provenance } = task;
      const ancestors = JSON.stringify(task.ancestors);
      const own = task.attestations.find((one) => one.task === id);
      insert.run({
        ...{ id, agentKey, revision, words: formatWords(task), createdAt, root, ancestors, provenance },
        endsBy: task.endsBy ?? null,
        txn: own === undefined ? null : txnKey(own),
        attestation: own === undefined ? null : JSON.stringify(own),
      });
      touch.run(createdAt, root);
    },
    update(task, now) {
      update.run(task.revision, formatWords(task), task.endedAt ?? null, task.endsBy ?? null, task.id);
      touch.run(now, task.root);
      return task;
    },
    below: ({ id, root }) =>
      byRoot
        .all(root)
        .map(read)
        .filter(({ ancestors }) => ancestors.includes(id)),
    tree: (root) =>
      byRoot
        .all(root)
        .map(read)
        .sort((a, b) => a.createdAt - b.createdAt || a.ancestors.length - b.ancestors.length),
    size: (root) => Number(sizeOf.get(root)?.n),
    invite: (id, guestId) => void invite.run(id, guestId),
    invited: (id, partyIds) => invited.get(id, JSON.stringify(partyIds)) !== undefined,
    bind: (session, taskId) => void bind.run(session, taskId),
    bound(session) {
      const row = bound.get(session);
      return row && String(row.task_id);
    },
    sessions: (id) => Number(sessions.get(id)?.n),
    forgetImplicit(agentKey) {
      const row = idle.get(agentKey);
      if (row !== undefined) remove(String(row.id));
    },
    guests: (id) => Number(guests.get(id)?.n),
  };
}

/** Deletes one task with all that belongs to it. */
export function taskRemover(db: DatabaseSync): (id: string) => void {
  const statements = ['task_call', 'task_participant', 'task_session', 'task_use', 'task_key', 'task_prompt']
    .map((table) => `DELETE FROM ${table} WHERE task_id = ?`)
    .concat('DELETE FROM task WHERE id = ?')
    .map((sql) => db.prepare(sql));
  return (id) => {
    for (const statement of statements) statement.run(id);
  };
}

const formatWords = ({ objective, plan, labels }: TaskWords): string => JSON.stringify({ objective, plan, labels });

/** One text for each transaction of each issuer. */
const txnKey = ({ issuer, txn }: Pick<Attestation, 'issuer' | 'txn'>): string => JSON.stringify([issuer, txn]);

const attestationIn = (row: Record<string, unknown>): readonly Attestation[] =>
  row.attestation === null ? [] : [JSON.parse(String(row.attestation)) as Attestation];

/** `above` are the attestations of the tasks above. */
function parseTask(row: Record<string, unknown>, above: readonly Attestation[]): Task {
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
    ...(row.ends_by === null ? {} : { endsBy: Number(row.ends_by) }),
    ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
    attestations: [...above, ...attestationIn(row)],
  };
}
