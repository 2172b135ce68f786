// Whether a call has the task that its upstream, its resources or its tier ask for, and keeps within what a task token lets
// that task do. Weighed after the rules have denied and before they hold or allow. The messages that let an MCP session
// live need no task.

import type { Action } from '../domain/action.ts';
import type { TaskNeed } from '../domain/classification.ts';
import type { EpochMs } from '../domain/clock.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import type { Decided } from '../domain/stages.ts';
import { isAttested, type Task, type TaskStore } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';

const WAYS =
  'Send the id of an open task in the field Countersign-Task, or in params._meta["countersign/task"], or open one for ' +
  'your MCP session with the tool countersign_open_task. POST /countersign/v1/tasks opens one as well.';
const ATTESTED =
  'It has to be a task that a task token vouches for: send the token in Countersign-Task-Token or Txn-Token, with the ' +
  'call or when you open the task.';

type Needing = Pick<Decided, 'action' | 'mount' | 'facts' | 'decision' | 'task'>;

/** Throws `task_required`, `task_bounds`. */
export function refuseByTask({ action, mount, facts, decision, task }: Needing, now: EpochMs): void {
  const needs: readonly (TaskNeed | undefined)[] = [
    mount.tasks.required,
    facts.classification.requireTask,
    ...decision.requirements.map(({ requireTask }) => requireTask),
  ];
  const need = needs.includes('attested') ? 'attested' : needs.includes(true);
  if (isLifecycle(action)) return;
  if (task !== undefined) refuseBeyond(task, facts.classification.resources, now);
  if (need === false || (task !== undefined && (need === true || isAttested(task, now)))) return;
  const words = need === 'attested' ? `${WAYS} ${ATTESTED}` : WAYS;
  throw new GatewayError('task_required', `This call needs a task. ${words}`, { members: { requireTask: need } });
}

/** A call that touches nothing that the configuration names is outside, too. Throws `task_bounds`. */
function refuseBeyond({ attestations }: Task, touched: readonly string[], now: EpochMs): void {
  for (const { bounds } of attestations) {
    if (bounds.until !== undefined && now >= bounds.until)
      throw new GatewayError('task_ended', 'The time that the task token gives its task is over.');
    const { resources } = bounds;
    if (resources === undefined || (touched.length > 0 && touched.every((id) => resources.includes(id)))) continue;
    throw new GatewayError('task_bounds', 'The task token gives its task other resources.', {
      members: { resources: [...touched] },
    });
  }
}

/** Counts the call against the bounds of its task. The messages that let an MCP session live are not counted. */
export function spend(tasks: Spending, { action, task }: Pick<Decided, 'action' | 'task'>): Promise<void> | undefined {
  return isCounted(action, task) ? tasks.spend(task.attestations) : undefined;
}

/** Before people are asked in vain. */
export function refuseSpent(
  tasks: Spending,
  { action, task }: Pick<Decided, 'action' | 'task'>,
): Promise<void> | undefined {
  return isCounted(action, task) ? tasks.refuseSpent(task.attestations) : undefined;
}

export type Spending = Pick<TaskStore, 'spend' | 'refuseSpent'>;

function isCounted(action: Action, task: Task | undefined): task is Task {
  return task?.attestations.some(({ bounds }) => bounds.maxCalls !== undefined) === true && !isLifecycle(action);
}
