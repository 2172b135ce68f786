// Tasks in SQLite, as trees. A new revision or an end closes the open holds of the task, and of all below it, in the
// same transaction. Trusts the caller's principal id (it was verified). A task of somebody else is refused like a task
// that does not exist.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { type AgentLimits, refuseTask } from '../domain/agent-limits.ts';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { CloseHold, Closing } from '../domain/hold.ts';
import type { Logger } from '../domain/log.ts';
import {
  type EndedTree,
  type Provenance,
  refuseFullTree,
  type Task,
  type TaskCall,
  type TaskStore,
  type TaskWords,
} from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import { type CallLog, createCallLog } from './sqlite-task-calls.ts';
import { createTaskRows, type TaskRows } from './sqlite-task-rows.ts';
import type { UsageRows } from './sqlite-usage.ts';
import type { Announce, SqliteWriter } from './sqlite-writer.ts';

/** The other parts of the store that tasks touch. */
export interface TaskNeighbours {
  readonly holds: HoldRows;
  readonly usage: UsageRows;
  readonly closeHold: CloseHold;
}

export class SqliteTasks implements TaskStore {
  readonly #writer: SqliteWriter;
  readonly #rows: TaskRows;
  readonly #calls: CallLog;
  readonly #others: TaskNeighbours;
  readonly #clock: Clock;

  constructor(db: DatabaseSync, writer: SqliteWriter, others: TaskNeighbours, clock: Clock, log: Logger) {
    this.#writer = writer;
    this.#rows = createTaskRows(db);
    this.#calls = createCallLog(db, writer, log);
    this.#others = others;
    this.#clock = clock;
  }

  open(agentKey: string, words: TaskWords, limits: AgentLimits, parent?: Task): Promise<Task> {
    return this.#writer.write(() => {
      const { usage } = this.#others;
      refuseTask(usage.openTasks(agentKey), usage.storedBytes(agentKey), limits);
      const place = parent === undefined ? {} : this.#below(parent.id);
      const task: Task = { ...newTask(agentKey, words, 'declared', this.#clock.now()), ...place };
      this.#rows.insert(task);
      return task;
    });
  }

  openForSession(
    session: string,
    agentKey: string,
    words: TaskWords,
    limits: AgentLimits,
  ): Promise<{ readonly task: Task; readonly isNew: boolean }> {
    return this.#writer.write(() => {
      const bound = this.#rows.bound(session);
      const known = bound === undefined ? undefined : this.#rows.find(bound);
      if (known !== undefined) return { task: known, isNew: false };
      const { usage } = this.#others;
      if (usage.openTasks(agentKey) >= limits.openTasksPerAgent) this.#rows.forgetImplicit(agentKey);
      refuseTask(usage.openTasks(agentKey), usage.storedBytes(agentKey), limits);
      const task = newTask(agentKey, words, 'implicit', this.#clock.now());
      this.#rows.insert(task);
      this.#rows.bind(session, task.id);
      return { task, isNew: true };
    });
  }

  bind(session: string, taskId: string): Promise<void> {
    return this.#writer.write(() => this.#rows.bind(session, taskId));
  }

  async bound(session: string): Promise<string | undefined> {
    return this.#writer.read(() => this.#rows.bound(session));
  }

  revise(id: string, agentKey: string, words: TaskWords): Promise<Task> {
    return this.#writer.write((announce) => {
      const task = this.#openOwn(id, agentKey);
      const revision = task.revision + 1;
      this.#closeHolds(id, { type: 'invalidate', because: `The task was revised: revision ${revision}.` }, announce);
      return this.#rows.update({ ...task, ...pick(words), revision }, this.#clock.now());
    });
  }

  invite(id: string, agentKey: string, guest: string): Promise<Task> {
    return this.#writer.write(() => {
      const task = this.#openOwn(id, agentKey);
      if (this.#rows.invited(id, [guest])) return task;
      refuseFullTree('participants', this.#rows.guests(id));
      this.#rows.invite(id, guest);
      return task;
    });
  }

  end(id: string, agentKey: string): Promise<EndedTree> {
    return this.#writer.write((announce) =>
      this.#endTree(this.#own(id, agentKey), 'The agent ended the task.', announce),
    );
  }

  revoke(id: string, because: string): Promise<EndedTree> {
    return this.#writer.write((announce) => {
      const task = this.#rows.find(id);
      if (task === undefined) throw new GatewayError('task_not_found', 'There is no such task.');
      return this.#endTree(task, because, announce);
    });
  }

  async get(id: string): Promise<Task | undefined> {
    return this.#writer.read(() => this.#rows.find(id));
  }

  isOpen(id: string): boolean {
    return this.#writer.read(() => this.#rows.isOpen(id));
  }

  async tree(root: string): Promise<readonly Task[]> {
    return this.#writer.read(() => this.#rows.tree(root));
  }

  async invited(id: string, partyIds: readonly string[]): Promise<boolean> {
    return this.#writer.read(() => this.#rows.invited(id, partyIds));
  }

  async storedBytes(agentKey: string): Promise<number> {
    return this.#writer.read(() => this.#others.usage.storedBytes(agentKey));
  }

  calls(root: string): readonly TaskCall[] {
    return this.#calls.of(root);
  }

  record(root: string, call: TaskCall): void {
    this.#calls.add(root, call);
  }

  /** Writes the calls that are still in memory only. */
  close(): Promise<void> {
    return this.#calls.close();
  }

  #own(id: string, agentKey: string): Task {
    const task = this.#rows.find(id);
    if (task?.agentKey === agentKey) return task;
    throw new GatewayError('task_not_found', 'There is no such task of yours.');
  }

  #openOwn(id: string, agentKey: string): Task {
    const task = this.#own(id, agentKey);
    if (task.endedAt === undefined) return task;
    throw new GatewayError('task_ended', 'The task has ended and cannot be changed.');
  }

  /** The place of a new task. The parent is read again: it may have ended since it was found. */
  #below(parentId: string): Pick<Task, 'root' | 'parent' | 'ancestors'> {
    const parent = this.#rows.find(parentId);
    if (parent === undefined || parent.endedAt !== undefined)
      throw new GatewayError('task_ended', 'The parent task has ended.');
    refuseFullTree('depth', parent.ancestors.length);
    refuseFullTree('tasks', this.#rows.size(parent.root));
    return { root: parent.root, parent: parentId, ancestors: [...parent.ancestors, parentId] };
  }

  #endTree(task: Task, because: string, announce: Announce): EndedTree {
    const tree = [task, ...this.#rows.below(task)];
    const endedAt = this.#clock.now();
    for (const each of tree) {
      if (each.endedAt !== undefined) continue;
      this.#closeHolds(each.id, { type: 'revoke', because }, announce);
      this.#rows.update({ ...each, endedAt }, endedAt);
    }
    return { task: { endedAt, ...task }, ids: tree.map(({ id }) => id) };
  }

  #closeHolds(taskId: string, closing: Closing, announce: Announce): void {
    const { holds, closeHold } = this.#others;
    for (const hold of holds.openOfTask(taskId))
      holds.update(hold, closeHold(hold, closing, this.#clock.now()), announce);
  }
}

/** A root. */
function newTask(agentKey: string, words: TaskWords, provenance: Provenance, createdAt: EpochMs): Task {
  const id = `task_${randomBytes(16).toString('base64url')}`;
  return { ...pick(words), id, revision: 1, root: id, ancestors: [], provenance, agentKey, createdAt };
}

const pick = ({ objective, plan, labels }: TaskWords): TaskWords => ({ objective, plan, labels });
