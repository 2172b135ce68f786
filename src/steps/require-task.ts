// Whether a call has the task that its upstream, its resources or its tier ask for. Weighed after the rules have denied
// and before they hold or allow. The messages that let an MCP session live need none.

import type { TaskNeed } from '../domain/classification.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import type { Decided } from '../domain/stages.ts';
import { GatewayError } from '../errors.ts';

const WAYS =
  'Send the id of an open task in the field Countersign-Task, or in params._meta["countersign/task"], or open one for ' +
  'your MCP session with the tool countersign_open_task. POST /countersign/v1/tasks opens one as well.';
const ATTESTED =
  'It has to be a task that a task token vouches for: send the token in Countersign-Task-Token or Txn-Token, with the ' +
  'call or when you open the task.';

type Needing = Pick<Decided, 'action' | 'mount' | 'facts' | 'decision' | 'task'>;

/** Throws `task_required`. */
export function refuseTaskless({ action, mount, facts, decision, task }: Needing): void {
  const needs: readonly (TaskNeed | undefined)[] = [
    mount.tasks.required,
    facts.classification.requireTask,
    ...decision.requirements.map(({ requireTask }) => requireTask),
  ];
  const need = needs.includes('attested') ? 'attested' : needs.includes(true);
  if (need === false || isLifecycle(action)) return;
  if (task !== undefined && (need === true || task.provenance === 'attested')) return;
  const words = need === 'attested' ? `${WAYS} ${ATTESTED}` : WAYS;
  throw new GatewayError('task_required', `This call needs a task. ${words}`, { members: { requireTask: need } });
}
