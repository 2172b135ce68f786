// POST /countersign/v1/tasks, GET, PUT, DELETE on one, and POST on its participants. A task is an agent's statement of
// what it is doing. Approvals are bound to the task's id and revision, so a new revision voids approvals given under the
// old one. Who takes part may read the task and open tasks below it; all else is for who opened it.

import { z } from 'zod';
import type { AgentLimits } from '../domain/agent-limits.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import { isJsonObject, type Json, type JsonObject, presentMembers } from '../domain/json.ts';
import type { InboundRequest } from '../domain/request.ts';
import { findTask, type Task, type TaskStore } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { json, type OwnRequest } from './own-request.ts';

export interface TaskRoutes {
  readonly tasks: TaskStore;
  limits(): AgentLimits;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Strict JSON; throws `bad_json`. */
  parseJson(bytes: Uint8Array): Json;
  /** Takes back what was minted for tasks that have ended. */
  revokeForTasks(taskIds: readonly string[]): Promise<void>;
}

/** Bytes of a task's JSON. */
const LARGEST_TASK = 160 * 1024;
const A_TASK = 'A task is {"objective": text, "plan": [text], "labels": [text]}';
const A_NEW_TASK = `${A_TASK.slice(0, -1)}, "parent": id of a task}`;
const AN_INVITATION = 'An invitation is {"principal": id}; an id is a SPIFFE ID or <issuer>#<subject>';

const wordsMembers = {
  objective: z.string().min(1).max(4_000),
  plan: z.array(z.string().max(4_000)).max(100).default([]),
  labels: z
    .array(z.string().regex(/^[\w.:/-]{1,100}$/))
    .max(50)
    .default([]),
};
const wordsSchema = z.strictObject(wordsMembers);
const newTaskSchema = z.strictObject({ ...wordsMembers, parent: z.string().max(100).exactOptional() });
/** As principals are named everywhere (domain/principal.ts). */
const inviteSchema = z.strictObject({
  principal: z
    .string()
    .max(4_000)
    .regex(/^spiffe:\/\/.|.#./),
});

export function taskRoutes({ tasks, limits, audit, clock, parseJson, revokeForTasks }: TaskRoutes) {
  const record = (verb: string, { id, root, revision, provenance, agentKey }: Task, more: JsonObject = {}) =>
    audit.append(
      'task',
      clock.now(),
      { verb, task: id, root, revision, provenance, principal: agentKey, ...more },
      'fsync',
    );

  async function read<Said>(request: InboundRequest, schema: z.ZodType<Said>, form: string): Promise<Said> {
    const said = parseJson(await request.body.buffer(LARGEST_TASK));
    const found = schema.safeParse(isJsonObject(said) ? presentMembers(said) : said);
    if (found.success) return found.data;
    const faults = found.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
    throw new GatewayError('bad_request', `${form}.`, { members: { faults } });
  }

  return {
    tasks: {
      POST: async ({ request, principal }: OwnRequest) => {
        const { parent, ...words } = await read(request, newTaskSchema, A_NEW_TASK);
        const above = parent === undefined ? undefined : await findTask(tasks, parent, principal);
        const task = await tasks.open(principal.agentKey, words, limits(), above);
        await record('opened', task);
        return json(201, view(task), ['location', `/countersign/v1/tasks/${task.id}`]);
      },
    },
    'tasks/{id}': {
      GET: async ({ principal, id }: OwnRequest) => json(200, view(await findTask(tasks, id, principal))),
      PUT: async ({ request, principal, id }: OwnRequest) => {
        const task = await tasks.revise(id, principal.agentKey, await read(request, wordsSchema, A_TASK));
        await record('revised', task);
        return json(200, view(task));
      },
      DELETE: async ({ principal, id }: OwnRequest) => {
        const { task, ids } = await tasks.end(id, principal.agentKey);
        await revokeForTasks(ids);
        await record('ended', task);
        return json(200, view(task));
      },
    },
    'tasks/{id}/participants': {
      POST: async ({ request, principal, id }: OwnRequest) => {
        const guest = (await read(request, inviteSchema, AN_INVITATION)).principal;
        const task = await tasks.invite(id, principal.agentKey, guest);
        await record('invited', task, { participant: guest });
        return json(201, { task: id, principal: guest });
      },
    },
  };
}

function view({ id, revision, root, parent, provenance, objective, plan, labels, createdAt, endedAt }: Task) {
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
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
  };
}
