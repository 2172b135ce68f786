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
  type NewTaskWords,
  type Provenance,
  refuseFullTree,
  type Task,
  type TaskCall,
  type TaskStore,
  type TaskWords,
} from '../domain/task.ts';
import type { Attestation, TaskToken } from '../domain/task-token.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import { createPromptRows, type PromptRows } from './sqlite-prompts.ts';
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
  readonly #prompts: PromptRows;
  readonly #calls: CallLog;
  readonly #others: TaskNeighbours;
  readonly #clock: Clock;

  constructor(db: DatabaseSync, writer: SqliteWriter, others: TaskNeighbours, clock: Clock, log: Logger) {
    this.#writer = writer;
    this.#rows = createTaskRows(db);
    this.#prompts = createPromptRows(db);
    this.#calls = createCallLog(db, writer, log);
    this.#others = others;
    this.#clock = clock;
  }

  open(agentKey: string, words: NewTaskWords, limits: AgentLimits, parent?: Task): Promise<Task> {
    return this.#writer.write(() => {
      this.#refuseMore(agentKey, limits);
      const task = this.#place(newTask(agentKey, words, 'declared', this.#clock.now()), parent);
      this.#rows.insert(task);
      return task;
    });
  }

  openAttested(
    agentKey: string,
    words: NewTaskWords,
    limits: AgentLimits,
    token: TaskToken,
    parent?: Task,
  ): Promise<{ readonly task: Task; readonly isNew: boolean }> {
    return this.#writer.write(() => {
      const known = this.#rows.attested(token);
      if (known !== undefined) return { task: this.#prolong(known, token), isNew: false };
      this.#refuseMore(agentKey, limits);
      const placed = this.#place(newTask(agentKey, words, 'attested', this.#clock.now()), parent);
      const { issuer, txn, actsFor, bounds } = token;
      const own: Attestation = { task: placed.id, issuer, txn, actsFor, bounds, validUntil: validUntil(token) };
      const task: Task = {
        ...placed,
        ...(bounds.until !== undefined && { endsBy: Math.min(bounds.until, placed.endsBy ?? bounds.until) }),
        attestations: [...placed.attestations, own],
      };
      this.#rows.insert(task);
      return { task, isNew: true };
    });
  }

  async attested(token: Pick<TaskToken, 'issuer' | 'txn'>): Promise<Task | undefined> {
    return this.#writer.read(() => this.#seen(this.#rows.attested(token)));
  }

  async refuseSpent(attestations: readonly Attestation[]): Promise<void> {
    this.#writer.read(() => this.#refuseSpent(attestations));
  }

  async spend(attestations: readonly Attestation[]): Promise<void> {
    const counted = attestations.filter(({ bounds }) => bounds.maxCalls !== undefined);
    if (counted.length === 0) return;
    await this.#writer.write(() => {
      this.#refuseSpent(counted);
      for (const id of new Set(counted.map(({ task }) => task))) this.#rows.addUse(id);
    });
  }

  saltOf(root: string): Promise<string> {
    return this.#writer.write(() => this.#prompts.saltOf(root));
  }

  putPrompt(id: string, sealed: string): Promise<void> {
    return this.#writer.write(() => this.#prompts.put(id, sealed));
  }

  async prompt(id: string): Promise<{ readonly sealed: string; readonly salt: string } | undefined> {
    return this.#writer.read(() => this.#prompts.find(id));
  }

  endDue(): Promise<readonly EndedTree[]> {
    return this.#writer.write((announce) => {
      const due = this.#rows.due(this.#clock.now());
      return due.map((task) => this.#endTree(task, 'The time of the task is over.', announce));
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
      this.#refuseMore(agentKey, limits);
      const task = newTask(agentKey, words, 'implicit', this.#clock.now());
      this.#rows.insert(task);
      this.#rows.bind(session, task.id);
      return { task, isNew: true };
    });
  }

  bind(session: string, taskId: string): Promise<void> {
    return this.#writer.write(() => {
      if (this.#rows.bound(session) === taskId) return;
      // The ids of sessions are the agent's to choose.
      refuseFullTree('sessions', this.#rows.sessions(taskId));
      this.#rows.bind(session, taskId);
    });
  }

  async bound(session: string): Promise<string | undefined> {
    return this.#writer.read(() => this.#rows.bound(session));
  }

  revise(id: string, agentKey: string, words: NewTaskWords): Promise<Task> {
    return this.#writer.write((announce) => {
      const task = this.#openOwn(id, agentKey);
      const revision = task.revision + 1;
      this.#closeHolds(id, { type: 'invalidate', because: `The task was revised: revision ${revision}.` }, announce);
      const { endsBy: _, ...kept } = task;
      const parent = task.parent === undefined ? undefined : this.#rows.find(task.parent);
      // The objective of an attested task is not its agent's to change.
      const objective = task.provenance === 'attested' ? task.objective : words.objective;
      const revised = bounded({ ...kept, ...pick(words), objective, revision }, [
        words.endsBy,
        parent?.endsBy,
        ownUntil(task),
      ]);
      this.#rows.update(revised, this.#clock.now());
      this.#boundBelow(revised);
      return revised;
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
    return this.#writer.read(() => this.#seen(this.#rows.find(id)));
  }

  isOpen(id: string): boolean {
    return this.#writer.read(() => this.#rows.isOpen(id, this.#clock.now()));
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

  /** A task whose time is over has ended, also before anybody has put that on record. */
  #seen(task: Task | undefined): Task | undefined {
    if (task?.endsBy === undefined || task.endedAt !== undefined || this.#clock.now() < task.endsBy) return task;
    return { ...task, endedAt: task.endsBy };
  }

  #own(id: string, agentKey: string): Task {
    const task = this.#rows.find(id);
    if (task?.agentKey === agentKey) return task;
    throw new GatewayError('task_not_found', 'There is no such task of yours.');
  }

  #openOwn(id: string, agentKey: string): Task {
    const task = this.#own(id, agentKey);
    if (this.#seen(task)?.endedAt === undefined) return task;
    throw new GatewayError('task_ended', 'The task has ended and cannot be changed.');
  }

  /** No task below outlives this one. */
  #boundBelow(task: Task): void {
    const { endsBy = Number.POSITIVE_INFINITY } = task;
    for (const child of this.#rows.below(task))
      if (child.endedAt === undefined && (child.endsBy ?? Number.POSITIVE_INFINITY) > endsBy)
        this.#rows.update({ ...child, endsBy }, this.#clock.now());
  }

  #refuseMore(agentKey: string, limits: AgentLimits): void {
    const { usage } = this.#others;
    refuseTask(usage.openTasks(agentKey), usage.storedBytes(agentKey), limits);
  }

  #refuseSpent(attestations: readonly Attestation[]): void {
    for (const { task, bounds } of attestations) {
      if (bounds.maxCalls === undefined || this.#rows.uses(task) < bounds.maxCalls) continue;
      throw new GatewayError('task_bounds', `The ${bounds.maxCalls} calls of the task have been made.`);
    }
  }

  #prolong(task: Task, token: TaskToken): Task {
    const own = task.attestations.find((one) => one.task === task.id);
    if (own === undefined || own.bounds.until !== undefined || own.validUntil >= token.expiresAt) return task;
    const longer = { ...own, validUntil: token.expiresAt };
    this.#rows.prolong(longer);
    return { ...task, attestations: task.attestations.map((one) => (one === own ? longer : one)) };
  }

  /** The parent is read again: it may have ended since it was found. */
  #place(task: Task, above: Task | undefined): Task {
    if (above === undefined) return task;
    const parentId = above.id;
    const parent = this.#seen(this.#rows.find(parentId));
    if (parent === undefined || parent.endedAt !== undefined)
      throw new GatewayError('task_ended', 'The parent task has ended.');
    refuseFullTree('depth', parent.ancestors.length);
    refuseFullTree('tasks', this.#rows.size(parent.root));
    const { root, attestations } = parent;
    const placed = { ...task, root, parent: parentId, ancestors: [...parent.ancestors, parentId], attestations };
    return bounded(placed, [task.endsBy, parent.endsBy]);
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
function newTask(agentKey: string, words: NewTaskWords, provenance: Provenance, createdAt: EpochMs): Task {
  const id = `task_${randomBytes(16).toString('base64url')}`;
  const task = { ...pick(words), id, revision: 1, root: id, ancestors: [], provenance, agentKey, createdAt };
  return bounded({ ...task, attestations: [] }, [words.endsBy]);
}

/** With the earliest of these ends. */
function bounded(task: Task, ends: readonly (EpochMs | undefined)[]): Task {
  const known = ends.filter((end) => end !== undefined);
  return known.length === 0 ? task : { ...task, endsBy: Math.min(...known) };
}

const validUntil = ({ bounds, expiresAt }: TaskToken): EpochMs => bounds.until ?? expiresAt;

const ownUntil = ({ id, attestations }: Task): EpochMs | undefined =>
  attestations.find(({ task }) => task === id)?.bounds.until;

const pick = ({ objective, plan, labels }: TaskWords): TaskWords => ({ objective, plan, labels });
