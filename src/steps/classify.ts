// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names.

import type { Action } from '../domain/action.ts';
import type { Conduct } from '../domain/conduct.ts';
import { header } from '../domain/headers.ts';
import type { Classified, Mount, Recognised } from '../domain/stages.ts';
import { findTask, type TaskStore } from '../domain/task.ts';

/** What the mount's protocol adds to the way of its calls; from gateway.ts. */
export type ConductOf = (mount: Mount) => Conduct | undefined;

export function classify(tasks: TaskStore, conduct: ConductOf, recognised: Recognised): Classified | Promise<Classified> {
  return recognised.mount.route === undefined ? read(tasks, conduct, recognised) : route(recognised).then((routed) => read(tasks, conduct, routed));
}

/** From a mount that several servers share to the one that the request is for: from here on it is that server's call. */
async function route(recognised: Recognised): Promise<Recognised> {
  const { call, request, mount, principal } = recognised;
  const to = await mount.route?.(request, principal);
  const server = to?.mount === undefined ? undefined : call.regime.mounts.get(to.mount);
  return { ...recognised, request: to?.request ?? request, mount: server ?? mount };
}

function read(tasks: TaskStore, conduct: ConductOf, recognised: Recognised): Classified | Promise<Classified> {
  const { call, request, mount } = recognised;
  const action = mount.classify(request, call.regime.policy.bodyNeed(mount.name, request.method, request.path));
  return action instanceof Promise ? action.then((found) => complete(tasks, conduct, recognised, found)) : complete(tasks, conduct, recognised, action);
}

function complete(tasks: TaskStore, conduct: ConductOf, recognised: Recognised, found: Action): Classified | Promise<Classified> {
  const { call, request, mount, principal } = recognised;
  const action = conduct(mount)?.examine(found, principal) ?? found;
  call.facts.action = action;
  const taskId = header(request.headers, 'countersign-task');
  return taskId === undefined ? { ...recognised, action, calls: [] } : withTask(tasks, taskId, { ...recognised, action });
}

async function withTask(tasks: TaskStore, taskId: string, known: Omit<Classified, 'calls'>): Promise<Classified> {
  const task = await findTask(tasks, taskId, known.principal);
  known.call.facts.task = task;
  return { ...known, task, calls: tasks.calls(task.id) };
}
