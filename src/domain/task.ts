// What an agent says it is doing. Words of the agent: shown to reviewers as such, bound into approvals by id and
// revision.

import { GatewayError } from '../errors.ts';
import type { AgentLimits } from './agent-limits.ts';
import type { EpochMs } from './clock.ts';
import type { Principal } from './principal.ts';

export interface TaskWords {
  readonly objective: string;
  readonly plan: readonly string[];
  readonly labels: readonly string[];
}

export interface Task extends TaskWords {
  readonly id: string;
  /** Starts at 1; every PUT adds one. */
  readonly revision: number;
  /** The principal that opened it; nobody else may name it. */
  readonly principalId: string;
  readonly createdAt: EpochMs;
  readonly endedAt?: EpochMs;
}

/** One earlier call of a task, as conditions and reviewers see it. Never arguments or results. */
export interface TaskCall {
  readonly at: EpochMs;
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly tool?: string;
  readonly decision: 'allow' | 'hold' | 'deny';
  readonly status?: number;
}

/** Durable tasks. All times are the store's. */
export interface TaskStore {
  /** Throws `too_many_tasks`, `too_much_stored`. */
  open(principalId: string, words: TaskWords, limits: AgentLimits): Promise<Task>;
  /**
   * A new revision; in the same transaction pending and unused holds under the old one become INVALIDATED. Throws
   * `task_not_found`, `task_ended`.
   */
  revise(id: string, principalId: string, words: TaskWords): Promise<Task>;
  /** Ends the task; pending and unused holds under it become REVOKED. Idempotent. Throws `task_not_found`. */
  end(id: string, principalId: string): Promise<Task>;
  /** As `end`, by somebody else than its agent, who is named in `because`. Throws `task_not_found`. */
  revoke(id: string, because: string): Promise<Task>;
  get(id: string): Promise<Task | undefined>;
  /** What the store keeps of an agent, bytes: holds, tasks, and their calls. */
  storedBytes(principalId: string): Promise<number>;
  /**
   * The latest calls of a task, oldest first, at most 200. Synchronous: it is read on the way of every call that names
   * a task.
   */
  calls(taskId: string): readonly TaskCall[];
  /** Adds a call. Durable within a second; never throws. */
  record(taskId: string, call: TaskCall): void;
}

/** The agent's own, open task. Another agent's task is not found: its existence is nobody else's business. */
export async function findTask(tasks: TaskStore, id: string, principal: Principal): Promise<Task> {
  const task = await tasks.get(id);
  if (task === undefined || task.principalId !== principal.id)
    throw new GatewayError('task_not_found', 'There is no task of yours with this id.');
  if (task.endedAt !== undefined) throw new GatewayError('task_ended', 'The task has ended.');
  return task;
}
