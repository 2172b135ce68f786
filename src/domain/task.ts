// What an agent says it is doing. Words of the agent: shown to reviewers as such, bound into approvals by id and
// revision.

import { GatewayError } from '../errors.ts';
import type { AgentLimits } from './agent-limits.ts';
import type { Operation } from './classification.ts';
import type { EpochMs } from './clock.ts';
import type { Principal } from './principal.ts';
import type { Attestation, TaskToken } from './task-token.ts';

export interface TaskWords {
  readonly objective: string;
  readonly plan: readonly string[];
  readonly labels: readonly string[];
}

export interface NewTaskWords extends TaskWords {
  readonly endsBy?: EpochMs;
}

/**
 * Who vouches for a task: `declared` by its agent alone, `attested` by a task token, `implicit` where the gateway opened
 * it for a session.
 */
export type Provenance = 'declared' | 'attested' | 'implicit';

export interface Task extends TaskWords {
  readonly id: string;
  /** Starts at 1; every PUT adds one. */
  readonly revision: number;
  /**
   * The task at the top of its tree; a task without a parent is its own root. History and everything that is counted
   * belong to the root.
   */
  readonly root: string;
  /** The task directly above. */
  readonly parent?: string;
  /** The tasks above, the root first. Empty for a root. */
  readonly ancestors: readonly string[];
  readonly provenance: Provenance;
  /** The agent that opened it (Principal.agentKey). It alone may change the task, end it, and invite others. */
  readonly agentKey: string;
  readonly createdAt: EpochMs;
  /** When the task is meant to end, or one above it, whichever comes first; it ends then by itself. */
  readonly endsBy?: EpochMs;
  readonly endedAt?: EpochMs;
  /** Who vouches for the task and for those above it, and within which bounds: each of them counts. */
  readonly attestations: readonly Attestation[];
}

/** Whether a task token vouches for the task itself at this time: not for a child of it, and not for ever. */
export function isAttested({ id, provenance, attestations }: Task, now: EpochMs): boolean {
  const own = attestations.find(({ task }) => task === id);
  return provenance === 'attested' && own !== undefined && now < own.validUntil;
}

/** The caller as the task knows it: whoever a task token names is acted for, too. */
export function actingUnder(principal: Principal, { attestations }: Task): Principal {
  const known = new Set([principal.id, ...principal.onBehalfOf.map(({ id }) => id)]);
  const more = attestations.flatMap(({ actsFor }) => actsFor).filter(({ id }) => !known.has(id));
  return more.length === 0 ? principal : { ...principal, onBehalfOf: [...principal.onBehalfOf, ...more] };
}

/** A task that has ended, and the tasks below it, which ended with it. */
export interface EndedTree {
  readonly task: Task;
  /** The ids of all of them. */
  readonly ids: readonly string[];
}

/** The root of a task, also of one whose record leaves the tasks above out because there are none. */
export function rootOf({ id, ancestors = [] }: Pick<Task, 'id'> & Partial<Pick<Task, 'ancestors'>>): string {
  return ancestors[0] ?? id;
}

/**
 * The task as far as approvals and requests are bound to it. An implicit task is only where its session’s facts are
 * kept, so another session of the same agent makes the same request.
 */
export function boundTask<Bound extends { readonly provenance?: Provenance }>(
  task: Bound | undefined,
): Bound | undefined {
  return task?.provenance === 'implicit' ? undefined : task;
}

/** One earlier call under a root, as conditions and reviewers see it. Never arguments or results. */
export interface TaskCall {
  readonly at: EpochMs;
  /** The agent that made it (Principal.agentKey), and under which task. Absent in records of earlier versions. */
  readonly agent?: string;
  readonly task?: string;
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly tool?: string;
  /** What kind of operation it was. Absent in records of earlier versions. */
  readonly operation?: Operation;
  /** Names of the marks that its answer left on the caller. */
  readonly marks?: readonly string[];
  readonly decision: 'allow' | 'hold' | 'deny';
  readonly status?: number;
}

/**
 * Levels below a root, tasks of a tree (ended ones included), principals that may be invited to one task, and sessions
 * whose task it is.
 */
export const TREE_BOUNDS = { depth: 8, tasks: 1_000, participants: 100, sessions: 1_000 } as const;

/** Durable tasks. All times are the store's. */
export interface TaskStore {
  /**
   * Opens a task, below `parent` where that is given: who calls must take part in the parent (findTask). Throws
   * `too_many_tasks`, `too_much_stored`, `task_ended`, `task_tree_full`.
   */
  open(agentKey: string, words: NewTaskWords, limits: AgentLimits, parent?: Task): Promise<Task>;
  /**
   * The task that a token attests, opened where there is none yet. Throws as `open`. What is known of a task stays as its
   * first token said it; a later token prolongs the attestation.
   */
  openAttested(
    agentKey: string,
    words: NewTaskWords,
    limits: AgentLimits,
    token: TaskToken,
    parent?: Task,
  ): Promise<{ readonly task: Task; readonly isNew: boolean }>;
  /** The task of this transaction. */
  attested(token: Pick<TaskToken, 'issuer' | 'txn'>): Promise<Task | undefined>;
  /**
   * Counts one call against every bound. All or nothing, and durable when it resolves. Throws `task_bounds`.
   */
  spend(attestations: readonly Attestation[]): Promise<void>;
  /** Throws `task_bounds` where `spend` would. */
  refuseSpent(attestations: readonly Attestation[]): Promise<void>;
  /** The salt of the key under which a root's prompts are sealed. It goes with the root. */
  saltOf(root: string): Promise<string>;
  putPrompt(id: string, sealed: string): Promise<void>;
  prompt(id: string): Promise<{ readonly sealed: string; readonly salt: string } | undefined>;
  /** Ends the trees whose time has come. */
  endDue(): Promise<readonly EndedTree[]>;
  /**
   * A new revision; in the same transaction pending and unused holds under the old one become INVALIDATED. Throws
   * `task_not_found`, `task_ended`.
   */
  revise(id: string, agentKey: string, words: NewTaskWords): Promise<Task>;
  /** From now on the guest takes part. Idempotent. Throws `task_not_found`, `task_ended`, `task_tree_full`. */
  invite(id: string, agentKey: string, guest: string): Promise<Task>;
  /**
   * Ends the task and all below it; pending and unused holds under them become REVOKED. Idempotent. Throws
   * `task_not_found`.
   */
  end(id: string, agentKey: string): Promise<EndedTree>;
  /** As `end`, by somebody else than its agent, who is named in `because`. Throws `task_not_found`. */
  revoke(id: string, because: string): Promise<EndedTree>;
  get(id: string): Promise<Task | undefined>;
  /** Synchronous: it is asked in the turn in which a call goes out. Throws `store_unavailable`. */
  isOpen(id: string): boolean;
  /**
   * The task of a session, opened as `implicit` where the session has none. An agent with as many open tasks as it may
   * have loses the implicit one that was used longest ago. Throws `too_many_tasks`, `too_much_stored`.
   */
  openForSession(
    session: string,
    agentKey: string,
    words: TaskWords,
    limits: AgentLimits,
  ): Promise<{ readonly task: Task; readonly isNew: boolean }>;
  /** From now on this is the task of the session. Throws `task_tree_full`. */
  bind(session: string, taskId: string): Promise<void>;
  /** The id of the task of a session. */
  bound(session: string): Promise<string | undefined>;
  /** The tasks under a root, with itself, in the order in which they were opened. Empty when there is no such root. */
  tree(root: string): Promise<readonly Task[]>;
  /** Whether one of these was invited to the task. */
  invited(id: string, partyIds: readonly string[]): Promise<boolean>;
  /** What the store keeps of an agent, bytes: holds, tasks, and their calls. */
  storedBytes(agentKey: string): Promise<number>;
  /**
   * The latest calls under a root, oldest first, at most 200. Synchronous: it is read on the way of every call that
   * names a task.
   */
  calls(root: string): readonly TaskCall[];
  /** Adds a call. Durable within a second; never throws. */
  record(root: string, call: TaskCall): void;
}

/** Throws `task_tree_full` when there are as many as there may be. */
export function refuseFullTree(of: keyof typeof TREE_BOUNDS, count: number): void {
  const most = TREE_BOUNDS[of];
  if (count < most) return;
  const words = {
    depth: 'levels below its root',
    tasks: 'tasks in one tree',
    participants: 'principals invited to one task',
    sessions: 'sessions of one task',
  };
  throw new GatewayError('task_tree_full', `There may be ${most} ${words[of]}, and there are.`);
}

/** A caller as tasks see it. */
export type TaskCaller = Pick<Principal, 'id' | 'agentKey' | 'issuer' | 'onBehalfOf'>;

/**
 * An open task in which the caller takes part: the caller, or somebody for whom it acts, opened it or was invited. This
 * is judged at every call. Of other tasks not even the existence is told.
 */
export async function findTask(
  tasks: Pick<TaskStore, 'get' | 'invited'>,
  id: string,
  principal: TaskCaller,
): Promise<Task> {
  const task = await tasks.get(id);
  if (task === undefined || !(await takesPart(tasks, task, principal)))
    throw new GatewayError('task_not_found', 'There is no task of yours with this id.');
  refuseEnded(task);
  return task;
}

/** Throws `task_ended`. */
export function refuseEnded({ endedAt }: Task): void {
  if (endedAt !== undefined) throw new GatewayError('task_ended', 'The task has ended.');
}

/**
 * Ids and keys of those whom the caller acts for by the word of its own issuer. What an issuer says of an actor of another issuer
 * is hearsay.
 */
export function vouchedFor({ issuer, onBehalfOf }: Pick<Principal, 'issuer' | 'onBehalfOf'>): readonly string[] {
  const vouched = onBehalfOf.filter((party) => party.issuer === issuer && party.by === undefined);
  return vouched.flatMap(({ id, agentKey }) => (agentKey === undefined ? [id] : [id, agentKey]));
}

export async function takesPart(
  tasks: Pick<TaskStore, 'invited'>,
  { id, agentKey }: Task,
  caller: TaskCaller,
): Promise<boolean> {
  const parties = [caller.agentKey, caller.id, ...vouchedFor(caller)];
  return parties.includes(agentKey) || tasks.invited(id, parties);
}
