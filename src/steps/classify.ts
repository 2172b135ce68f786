// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names.

import { header } from '../domain/headers.ts';
import type { Principal } from '../domain/principal.ts';
import type { Classified, Recognised, Regime } from '../domain/stages.ts';
import type { Task, TaskStore } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';

export async function classify(regime: Regime, tasks: TaskStore, recognised: Recognised): Promise<Classified> {
  const { call, request, mount, principal } = recognised;
  const action = await mount.classify(request, regime.policy.bodyNeed(mount.name, request.method, request.path));
  call.facts.action = action;
  const taskId = header(request.headers, 'countersign-task');
  if (taskId === undefined) return { ...recognised, action, calls: [] };
  const task = await findTask(tasks, taskId, principal);
  call.facts.task = task;
  return { ...recognised, action, task, calls: tasks.calls(task.id) };
}

/** The agent's own, open task. Another agent's task is not found: its existence is nobody else's business. */
export async function findTask(tasks: TaskStore, id: string, principal: Principal): Promise<Task> {
  const task = await tasks.get(id);
  if (task === undefined || task.principalId !== principal.id) throw new GatewayError('task_not_found', 'Countersign-Task names no task of yours.');
  if (task.endedAt !== undefined) throw new GatewayError('task_ended', 'The task that Countersign-Task names has ended.');
  return task;
}
