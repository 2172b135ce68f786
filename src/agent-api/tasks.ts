// POST /countersign/v1/tasks, GET, PUT, DELETE on one, and POST on its participants. A task is an agent's statement of
// what it is doing. Approvals are bound to the task's id and revision, so a new revision voids approvals given under the
// old one. Who takes part may read the task and open tasks below it; all else is for who opened it.

import type { Json } from '../domain/json.ts';
import type { InboundRequest } from '../domain/request.ts';
import { findTask, type Task, type TaskStore } from '../domain/task.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import { json, type OwnRequest } from './own-request.ts';

export interface TaskRoutes {
  readonly tasks: Pick<TaskStore, 'get' | 'invited'>;
  readonly desk: TaskDesk;
  /** Strict JSON; throws `bad_json`. */
  parseJson(bytes: Uint8Array): Json;
}

/** Bytes of a task's JSON. */
const LARGEST_TASK = 160 * 1024;

export function taskRoutes({ tasks, desk, parseJson }: TaskRoutes) {
  const said = async (request: InboundRequest): Promise<Json> => parseJson(await request.body.buffer(LARGEST_TASK));
  return {
    tasks: {
      POST: async ({ request, principal, identity }: OwnRequest) => {
        const token = await identity.taskToken(request.headers);
        const task = await desk.open(principal, await said(request), { token });
        return json(201, view(task), ['location', `/countersign/v1/tasks/${task.id}`]);
      },
    },
    'tasks/{id}': {
      GET: async ({ principal, id }: OwnRequest) => json(200, view(await findTask(tasks, id, principal))),
      PUT: async ({ request, principal, id }: OwnRequest) =>
        json(200, view(await desk.revise(principal, id, await said(request)))),
      DELETE: async ({ principal, id }: OwnRequest) => json(200, view(await desk.end(principal, id))),
    },
    'tasks/{id}/participants': {
      POST: async ({ request, principal, id }: OwnRequest) =>
        json(201, { task: id, principal: await desk.invite(principal, id, await said(request)) }),
    },
  };
}

function view({ id, revision, root, parent, provenance, objective, plan, labels, createdAt, endsBy, endedAt }: Task) {
  return {
    id,
    revision,
    root,
    ...(parent !== undefined && { parent }),
    provenance,
    objective,
    plan,
    labels,
    createdAt: new Date(createdAt),
    ...(endsBy !== undefined && { endsBy: new Date(endsBy) }),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
  };
}
