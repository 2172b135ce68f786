// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names.

import type { Action } from '../domain/action.ts';
import type { Conduct } from '../domain/conduct.ts';
import { header } from '../domain/headers.ts';
import type { Classified, Mount, Recognised } from '../domain/stages.ts';
import { findTask, type TaskStore } from '../domain/task.ts';

/** What the mount's protocol adds to the way of its calls; from gateway.ts. */
export type ConductOf = (mount: Mount) => Conduct | undefined;

export function classify(tasks: TaskStore, conduct: ConductOf, recognised: Recognised): Classified | Promise<Classified> {
  const { call, request, mount } = recognised;
  const read = mount.classify(request, call.regime.policy.bodyNeed(mount.name, request.method, request.path));
  return read instanceof Promise ? read.then((action) => complete(tasks, conduct, recognised, action)) : complete(tasks, conduct, recognised, read);
}

function complete(tasks: TaskStore, conduct: ConductOf, recognised: Recognised, read: Action): Classified | Promise<Classified> {
  const { call, request, mount, principal } = recognised;
  const action = conduct(mount)?.examine(read, principal) ?? read;
  call.facts.action = action;
  const taskId = header(request.headers, 'countersign-task');
  return taskId === undefined ? { ...recognised, action, calls: [] } : withTask(tasks, taskId, { ...recognised, action });
}

async function withTask(tasks: TaskStore, taskId: string, known: Omit<Classified, 'calls'>): Promise<Classified> {
  const task = await findTask(tasks, taskId, known.principal);
  known.call.facts.task = task;
  return { ...known, task, calls: tasks.calls(task.id) };
}
