// The tree of a task, for people: which agents work under its root, what each has done, and what waits. One reviewer sees
// the combined reach of all of them. Only for people whom a hold of the tree names, or who may watch.

import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import type { Task, TaskCall, TaskStore } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import type { Powers } from './interventions.ts';
import { type Eligibility, isNamed } from './permissions.ts';

export interface TaskTree {
  readonly root: Task;
  /** With the root, in the order in which they were opened. */
  readonly tasks: readonly Task[];
  /** The latest calls of all of them, oldest first, at most 200. */
  readonly calls: readonly TaskCall[];
  /** The holds of the tree that the reader may see, newest first, at most 200. */
  readonly holds: readonly Hold[];
  /** The agents (Principal.agentKey) that opened a task or made a call, in the order of their first appearance. */
  readonly agents: readonly string[];
}

export interface TaskTreeParts {
  readonly tasks: Pick<TaskStore, 'get' | 'tree' | 'calls'>;
  readonly holds: Pick<HoldStore, 'list'>;
  readonly eligibility: Eligibility;
}

/** Throws `task_not_found`, also for a tree in which nothing concerns the reader. */
export async function loadTaskTree(
  { tasks, holds, eligibility }: TaskTreeParts,
  reviewer: Reviewer,
  { watch }: Pick<Powers, 'watch'>,
  taskId: string,
): Promise<TaskTree> {
  const task = await tasks.get(taskId);
  const root = task && (task.id === task.root ? task : await tasks.get(task.root));
  const found = root && (await holds.list({ root: root.id, limit: 200 })).holds;
  const visible = found?.filter((hold) => watch || isNamed(eligibility, hold, reviewer)) ?? [];
  if (root === undefined || (visible.length === 0 && !watch))
    throw new GatewayError('task_not_found', 'There is no such task for you to look at.');
  const tree = await tasks.tree(root.id);
  const calls = tasks.calls(root.id);
  const agents = new Set([
    ...tree.map(({ agentKey }) => agentKey),
    ...calls.map(({ agent }) => agent ?? root.agentKey),
  ]);
  return { root, tasks: tree, calls, holds: visible, agents: [...agents] };
}

/** What the calls to one upstream add up to. */
export interface Reach {
  readonly upstream: string;
  readonly reads: number;
  readonly changes: number;
  /** Times that a call was held and did not go out. The same call counts each time that it came. */
  readonly held: number;
  readonly refused: number;
  /** What the answers marked its callers with. */
  readonly marks: readonly string[];
  /** The agents that called it, by their place in `agents`. */
  readonly by: readonly number[];
}

/** The combined reach of the tree: one entry for each upstream, in the order of the first call. */
export function reachOf({ calls, agents, root }: TaskTree): readonly Reach[] {
  const byUpstream = Map.groupBy(calls, ({ upstream }) => upstream);
  return [...byUpstream].map(([upstream, made]) => {
    const decided = (effect: TaskCall['decision']) => made.filter(({ decision }) => decision === effect);
    const passed = decided('allow');
    const reads = passed.filter(({ operation }) => operation === 'read').length;
    const by = new Set(made.map(({ agent }) => agents.indexOf(agent ?? root.agentKey)));
    return {
      upstream,
      reads,
      changes: passed.length - reads,
      held: decided('hold').length,
      refused: decided('deny').length,
      marks: [...new Set(made.flatMap(({ marks = [] }) => marks))].sort(),
      by: [...by].sort((a, b) => a - b),
    };
  });
}

const iso = (at: EpochMs): string => new Date(at).toISOString();

/** The tree as the reviewers' API shows it. */
export function viewTaskTree(tree: TaskTree) {
  const { root, tasks, calls, holds, agents } = tree;
  return {
    root: root.id,
    agents,
    reach: reachOf(tree).map(({ by, ...reach }) => ({ ...reach, by: by.map((index) => agents[index]) })),
    tasks: tasks.map(({ id, revision, parent, provenance, objective, plan, labels, agentKey, createdAt, endedAt }) => ({
      ...{ id, revision, parent, provenance, objective, plan, labels },
      openedBy: agentKey,
      createdAt: iso(createdAt),
      endedAt: endedAt === undefined ? undefined : iso(endedAt),
    })),
    calls: calls.map(({ at, ...call }) => ({ ...call, at: iso(at) })),
    holds: holds.map(({ id, state }) => ({ id, state })),
  };
}
