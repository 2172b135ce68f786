// The gateway's own tasks as MCP shows them: core tasks of revision 2025-11-25, and the extension
// io.modelcontextprotocol/tasks of 2026-07-28. Such a task is a call that people decide on, or a call that runs while
// nobody waits for it. Pure; decides nothing.

import type { TaskForm } from '../../domain/action.ts';
import type { EpochMs } from '../../domain/clock.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { edited } from '../../domain/json-source.ts';
import { tell } from '../../domain/telling.ts';
import type { GatewayError } from '../../errors.ts';
import { meta, toolResult } from '../refusal.ts';

/** What one JSON-RPC answer says. */
export type RpcOutcome = { readonly result: JsonObject } | { readonly error: JsonObject };

/** What all views of a task need. */
export interface TaskFacts {
  readonly taskId: string;
  readonly createdAt: EpochMs;
  readonly updatedAt: EpochMs;
  /** Longest life from its creation, ms; after that the task has ended. */
  readonly ttlMs: number;
}

/** Where a task stands. */
export type TaskState =
  | { readonly status: 'working'; readonly words: string; readonly pollMs: number }
  | { readonly status: 'ended'; readonly outcome: RpcOutcome }
  /** The task ended before it was executed; the refusal says why. */
  | { readonly status: 'refused'; readonly refusal: GatewayError; readonly cancelled: boolean };

const LONGEST_WORDS = 2_000;
const RELATED = 'io.modelcontextprotocol/related-task';

/** The answer to the call that became a task. */
export function taskCreated(
  form: TaskForm,
  facts: TaskFacts,
  words: string,
  pollMs: number,
  more: JsonObject,
): JsonObject {
  const task = snapshot(form, facts, { status: 'working', words, pollMs });
  return form === 'core' ? { task, _meta: more } : { resultType: 'task', ...task, _meta: more };
}

/** The result of `tasks/get`, and of `tasks/cancel` in the core form. */
export function taskView(form: TaskForm, facts: TaskFacts, state: TaskState): JsonObject {
  const refused = state.status === 'refused' ? { _meta: meta(state.refusal) } : {};
  const task = snapshot(form, facts, state);
  if (form === 'core') return { ...task, ...refused };
  const outcome = state.status === 'working' || task.status === 'cancelled' ? {} : outcomeOf(state, form);
  return { resultType: 'complete', ...task, ...outcome, ...refused };
}

/** The answer to `tasks/result` (core form only) for a task that has ended. */
export function taskResult(
  { taskId }: TaskFacts,
  state: Exclude<TaskState, { readonly status: 'working' }>,
): RpcOutcome {
  const outcome = outcomeOf(state, 'core');
  if ('error' in outcome) return outcome;
  const own = isJsonObject(outcome.result._meta) ? outcome.result._meta : {};
  return { result: edited(outcome.result, { _meta: edited(own, { [RELATED]: { taskId } }) }) };
}

function outcomeOf(state: Exclude<TaskState, { readonly status: 'working' }>, form: TaskForm): RpcOutcome {
  return state.status === 'ended'
    ? state.outcome
    : { result: toolResult(state.refusal, 'question', form === 'extension') };
}

function snapshot(form: TaskForm, { taskId, createdAt, updatedAt, ttlMs }: TaskFacts, state: TaskState): JsonObject {
  const words = wordsOf(state);
  const pollMs = state.status === 'working' ? state.pollMs : undefined;
  return {
    taskId,
    status: statusOf(form, state),
    ...(words !== undefined && { statusMessage: words.slice(0, LONGEST_WORDS) }),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(updatedAt).toISOString(),
    ...(form === 'core' ? { ttl: ttlMs } : { ttlMs }),
    ...(pollMs === undefined ? {} : form === 'core' ? { pollInterval: pollMs } : { pollIntervalMs: pollMs }),
  };
}

/**
 * 2025-11-25: a tool's result with `isError` ends its task as failed. 2026-07-28: failed is for JSON-RPC errors alone.
 */
function statusOf(form: TaskForm, state: TaskState): string {
  if (state.status === 'working') return 'working';
  if (state.status === 'refused') return state.cancelled ? 'cancelled' : form === 'core' ? 'failed' : 'completed';
  if ('error' in state.outcome) return 'failed';
  return form === 'core' && state.outcome.result.isError === true ? 'failed' : 'completed';
}

/**
 * Clients of the core form show a failed task's message and do not fetch its result, so the message says what the model
 * has to know.
 */
function wordsOf(state: TaskState): string | undefined {
  if (state.status === 'working') return state.words;
  if (state.status === 'refused') return tell(state.refusal, 'question');
  const { outcome } = state;
  if ('error' in outcome) return typeof outcome.error.message === 'string' ? outcome.error.message : undefined;
  const first =
    outcome.result.isError === true && Array.isArray(outcome.result.content) ? outcome.result.content[0] : undefined;
  return isJsonObject(first) && typeof first.text === 'string' ? first.text : undefined;
}
