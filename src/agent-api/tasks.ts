// POST /countersign/v1/tasks, and GET, PUT, DELETE on one. A task is an agent's statement of what it is doing.
// Approvals are bound to the task's id and revision, so a new revision voids approvals given under the old one.

import { z } from 'zod';
import type { AgentLimits } from '../domain/agent-limits.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import { isJsonObject, type Json, presentMembers } from '../domain/json.ts';
import type { InboundRequest } from '../domain/request.ts';
import { findTask, type Task, type TaskStore, type TaskWords } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { json, type OwnRequest } from './own-request.ts';

export interface TaskRoutes {
  readonly tasks: TaskStore;
  limits(): AgentLimits;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Strict JSON; throws `bad_json`. */
  parseJson(bytes: Uint8Array): Json;
  /** Takes back what was minted for a task that has ended. */
  revokeForTask(taskId: string): Promise<void>;
}

/** Bytes of a task's JSON. */
const LARGEST_TASK = 64 * 1024;

const wordsSchema = z.strictObject({
  objective: z.string().min(1).max(4_000),
  plan: z.array(z.string().max(4_000)).max(100).default([]),
  labels: z
    .array(z.string().regex(/^[\w.:/-]{1,100}$/))
    .max(50)
    .default([]),
});

export function taskRoutes({ tasks, limits, audit, clock, parseJson, revokeForTask }: TaskRoutes) {
  const record = (verb: string, task: Task) =>
    audit.append(
      'task',
      clock.now(),
      { verb, task: task.id, revision: task.revision, principal: task.principalId },
      'fsync',
    );
  return {
    tasks: {
      POST: async ({ request, principal }: OwnRequest) => {
        const task = await tasks.open(principal.id, await readWords(request, parseJson), limits());
        await record('opened', task);
        return json(201, view(task), ['location', `/countersign/v1/tasks/${task.id}`]);
      },
    },
    'tasks/{id}': {
      GET: async ({ principal, id }: OwnRequest) => json(200, view(await findTask(tasks, id, principal))),
      PUT: async ({ request, principal, id }: OwnRequest) => {
        const task = await tasks.revise(id, principal.id, await readWords(request, parseJson));
        await record('revised', task);
        return json(200, view(task));
      },
      DELETE: async ({ principal, id }: OwnRequest) => {
        const task = await tasks.end(id, principal.id);
        await revokeForTask(task.id);
        await record('ended', task);
        return json(200, view(task));
      },
    },
  };
}

async function readWords(request: InboundRequest, parseJson: TaskRoutes['parseJson']): Promise<TaskWords> {
  const said = parseJson(await request.body.buffer(LARGEST_TASK));
  const words = wordsSchema.safeParse(isJsonObject(said) ? presentMembers(said) : said);
  if (words.success) return words.data;
  const faults = words.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new GatewayError('bad_request', 'A task is {"objective": text, "plan": [text], "labels": [text]}.', {
    members: { faults },
  });
}

function view({ id, revision, objective, plan, labels, createdAt, endedAt }: Task) {
  return {
    id,
    revision,
    objective,
    plan,
    labels,
    createdAt: new Date(createdAt),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
  };
}
