// Requests of clients about the gateway's own tasks, and the text of each answer: which messages are meant, what a hold
// looks like as a task, and the held call as it would arrive again. Pure; tasks.ts finds out whose task it is.

import type { Action, ActionBody, TaskForm } from '../../domain/action.ts';
import { defined } from '../../domain/defined.ts';
import type { HeaderList } from '../../domain/headers.ts';
import { heldArguments } from '../../domain/held-arguments.ts';
import type { HeldContent, Hold, HoldProgress } from '../../domain/hold.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { writeJson } from '../../domain/json-source.ts';
import { inSessionOf } from '../../domain/mcp-session.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { GatewayError } from '../../errors.ts';
import { rpcError } from '../refusal.ts';
import { TASKS_EXTENSION } from './capabilities.ts';
import { KEPT_MS } from './outcomes.ts';
import { type RpcOutcome, type TaskFacts, type TaskState, taskResult, taskView } from './views.ts';

/** The prefix of the gateway's task ids; answer.ts refuses servers that use it. */
export const OWN_TASK = 'countersign.';
export const HELD = `${OWN_TASK}hold_`;
export const RUNNING = `${OWN_TASK}call_`;

export const METHODS: Readonly<Record<TaskForm, ReadonlySet<string>>> = {
  core: new Set(['tasks/get', 'tasks/result', 'tasks/cancel']),
  extension: new Set(['tasks/get', 'tasks/update', 'tasks/cancel']),
};

export const ACKNOWLEDGED: RpcOutcome = { result: { resultType: 'complete' } };
/**
 * io.modelcontextprotocol/tasks, protocol errors: for a client that asks about tasks without declaring the extension.
 */
export const MISSING_CAPABILITY = {
  code: -32021,
  message: 'Missing required client capability',
  data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } },
};

export interface TaskQuestion {
  readonly form: TaskForm;
  readonly method: string;
  readonly taskId: string;
  readonly rpcId: string | number;
}

/** Gives a request about a task of the gateway; undefined for every other request, which is for the server. */
export function readQuestion({ mcp, args }: Action): TaskQuestion | undefined {
  if (!mcp?.method?.startsWith('tasks/') || mcp.id === undefined || !isJsonObject(args)) return undefined;
  const { taskId } = args;
  if (typeof taskId !== 'string' || !taskId.startsWith(OWN_TASK)) return undefined;
  return { form: mcp.stateless ? 'extension' : 'core', method: mcp.method, taskId, rpcId: mcp.id };
}

export function tell({ form, method }: TaskQuestion, facts: TaskFacts, state: TaskState): RpcOutcome {
  if (method === 'tasks/update') return ACKNOWLEDGED;
  if (method !== 'tasks/result') return { result: taskView(form, facts, state) };
  return state.status === 'working' ? { error: rpcError(stillExecuting(), 'question') } : taskResult(facts, state);
}

export const isUnderway = ({ state }: Hold): boolean => state === 'RELEASING' || state === 'SENT';

/**
 * The held call as it would arrive again, in the poll's session and under its JSON-RPC id and transport. If the
 * upstream has moved, so that the poll would go elsewhere, the action has no destination, and no approval matches it.
 */
export function heldCall(
  { action }: Hold,
  content: HeldContent,
  poll: Action,
  messageBody: (bytes: Uint8Array) => ActionBody,
): Action {
  const { protocol, upstream, method, target, path, tool, contentType } = action;
  const { bodyText = '' } = content;
  const args = heldArguments(content);
  const at = target.indexOf('?');
  const { id, stateless = false, streams = false, progressToken } = poll.mcp ?? {};
  return {
    ...{ protocol, upstream, method, target, path },
    boundHeaders: inSessionOf(action, poll.boundHeaders),
    authority: withoutQuery(target) === withoutQuery(poll.target) ? poll.authority : '',
    ...(at !== -1 && { query: target.slice(at + 1) }),
    ...(contentType !== undefined && { contentType }),
    ...(tool !== undefined && { tool }),
    ...(args !== undefined && { args }),
    mcp: { method: 'tools/call', stateless, streams, continues: false, ...defined({ id, progressToken }) },
    body: messageBody(Buffer.from(bodyText)),
    streamed: false,
  };
}

const withoutQuery = (target: string): string | undefined => target.split('?', 1)[0];

export function factsOf(hold: Hold): TaskFacts {
  const { id, createdAt, deadline, requirements } = hold;
  const { approvedAt, endedAt }: HoldProgress = hold;
  const useWithinMs = Math.min(...requirements.map((requirement) => requirement.useWithinMs));
  return {
    taskId: OWN_TASK + id,
    createdAt,
    updatedAt: endedAt ?? approvedAt ?? createdAt,
    ttlMs: deadline - createdAt + useWithinMs + KEPT_MS,
  };
}

export function write(sink: ResponseSink, id: string | number, outcome: RpcOutcome, fields: HeaderList = []): void {
  const message: JsonObject = { jsonrpc: '2.0', id, ...outcome };
  sink.whole(
    200,
    ['content-type', 'application/json', 'cache-control', 'no-store', ...fields],
    Buffer.from(writeJson(message)),
  );
}

export function unknown(): GatewayError {
  return new GatewayError(
    'hold_not_found',
    'There is no such task of yours: it never was, or the gateway was restarted while a call that no rule ' +
      'holds ran as a task.',
  );
}

export function answerGone(holdId: string | undefined): GatewayError {
  const detail = 'The call was sent once, and its answer is no longer kept here. Look at what it did.';
  return new GatewayError('already_sent', detail, { executed: 'maybe', ...(holdId !== undefined && { holdId }) });
}

export function stillExecuting(): GatewayError {
  return new GatewayError('already_sent', 'The call is on its way, and its answer has not come yet.', {
    retryAfter: 2,
    executed: 'maybe',
  });
}
