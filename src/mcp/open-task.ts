// The gateway's own tool on MCP mounts whose calls need a task: it opens one, and makes it the task of the session. No rule
// is asked, because nothing is sent to a server. Without a session the answer names the member that names the task.

import type { Action } from '../domain/action.ts';
import { header } from '../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import type { MountTasks } from '../domain/mount.ts';
import type { Recognised } from '../domain/stages.ts';
import type { Task } from '../domain/task.ts';
import type { TaskDesk } from '../domain/task-desk.ts';
import { asGatewayError } from '../errors.ts';
import { refusalMessage } from './refusal.ts';

const NAME = 'countersign_open_task';
/** The member of a request's `_meta` that names its task. */
const META = 'countersign/task';

const TOOL: JsonObject = {
  name: NAME,
  description:
    'Opens the task under which you call the other tools here. Say what you want to achieve and in which steps: the ' +
    'people who approve your calls read it. Call this first, and once for each task.',
  inputSchema: {
    type: 'object',
    properties: {
      objective: { type: 'string', description: 'What you want to achieve, in one or two sentences' },
      plan: { type: 'array', items: { type: 'string' }, description: 'The steps, in their order' },
      parent: { type: 'string', description: 'The id of an open task of which this one is a part' },
    },
    required: ['objective'],
    additionalProperties: false,
  },
};

/** The tools of a list as the agent gets them: the gateway's own one is on the first page, and no server can take its name. */
export function withOwnTool(
  { offered }: MountTasks,
  { args }: Pick<Action, 'args'>,
  tools: readonly Json[],
): readonly Json[] {
  if (!offered) return tools;
  const others = tools.filter((tool) => !isJsonObject(tool) || tool.name !== NAME);
  const isFirstPage = !isJsonObject(args) || args.cursor === undefined || args.cursor === null;
  return isFirstPage ? [TOOL, ...others] : others;
}

/** Answers a call of the tool; undefined for every other message. */
export function answerOpenTask(
  desk: Pick<TaskDesk, 'open'>,
  recognised: Recognised,
  action: Action,
): Promise<'answered'> | undefined {
  if (!recognised.mount.tasks.offered || action.tool !== NAME || action.mcp?.id === undefined) return undefined;
  return open(desk, recognised, action);
}

async function open(desk: Pick<TaskDesk, 'open'>, recognised: Recognised, action: Action): Promise<'answered'> {
  const { call, request, mount, principal } = recognised;
  const { mcp, args = {} } = action;
  const id = header(request.headers, 'mcp-session-id');
  let message: Json;
  try {
    const token = await call.runtime.identity.taskToken(request.headers);
    const task = await desk.open(principal, args, {
      token,
      session: id === undefined ? undefined : { mount: mount.name, id },
    });
    message = { jsonrpc: '2.0', id: mcp?.id ?? null, result: result(task, id !== undefined, mcp?.stateless) };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    if (error.code === 'internal') throw thrown;
    message = refusalMessage(error, action) ?? null;
  }
  call.told = 200;
  const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
  call.sink.whole(200, headers, Buffer.from(JSON.stringify(message)));
  return 'answered';
}

function result({ id, revision, root, provenance }: Task, bound: boolean, stateless: boolean | undefined): JsonObject {
  const text = bound
    ? `The task ${id} is open. It is the task of this session: call the other tools now.`
    : `The task ${id} is open. Send "${META}": "${id}" in the _meta of the params of each call.`;
  return {
    ...(stateless && { resultType: 'complete' }),
    content: [{ type: 'text', text }],
    structuredContent: { id, revision, root, provenance },
    _meta: { [META]: id },
  };
}
