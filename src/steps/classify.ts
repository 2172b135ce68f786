// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names.

import type { Conduct } from '../domain/conduct.ts';
import { header } from '../domain/headers.ts';
import type { Classified, Mount, Recognised } from '../domain/stages.ts';
import { findTask, type TaskStore } from '../domain/task.ts';

/** What the mount's protocol adds to the way of its calls; from gateway.ts. */
export type ConductOf = (mount: Mount) => Conduct | undefined;

export async function classify(tasks: TaskStore, conduct: ConductOf, recognised: Recognised): Promise<Classified> {
  const { call, request, mount, principal } = recognised;
  const read = await mount.classify(request, call.regime.policy.bodyNeed(mount.name, request.method, request.path));
  const action = conduct(mount)?.examine(read, principal) ?? read;
  call.facts.action = action;
  const taskId = header(request.headers, 'countersign-task');
  if (taskId === undefined) return { ...recognised, action, calls: [] };
  const task = await findTask(tasks, taskId, principal);
  call.facts.task = task;
  return { ...recognised, action, task, calls: tasks.calls(task.id) };
}
