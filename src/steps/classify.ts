// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names.

import { header } from '../domain/headers.ts';
import type { Classified, Recognised } from '../domain/stages.ts';
import { findTask, type TaskStore } from '../domain/task.ts';

export async function classify(tasks: TaskStore, recognised: Recognised): Promise<Classified> {
  const { call, request, mount, principal } = recognised;
  const action = await mount.classify(request, call.regime.policy.bodyNeed(mount.name, request.method, request.path));
  call.facts.action = action;
  const taskId = header(request.headers, 'countersign-task');
  if (taskId === undefined) return { ...recognised, action, calls: [] };
  const task = await findTask(tasks, taskId, principal);
  call.facts.task = task;
  return { ...recognised, action, task, calls: tasks.calls(task.id) };
}
