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
export function taskView(form: TaskForm, facts: TaskFacts, standing: TaskState): JsonObject {
  const refused = standing.status === 'refused' ? { _meta: meta(standing.refusal) } : {};
  const task = snapshot(form, facts, standing);
  if (form === 'core') return { ...task, ...refused };
  const outcome = standing.status === 'working' || task.status === 'cancelled' ? {} : outcomeOf(standing, form);
  return { resultType: 'complete', ...task, ...outcome, ...refused };
}

/** The answer to `tasks/result` (core form only) for a task that has ended. */
export function taskResult(
  { taskId }: TaskFacts,
  standing: Exclude<TaskState, { readonly status: 'working' }>,
): RpcOutcome {
  const outcome = outcomeOf(standing, 'core');
  if ('error' in outcome) return outcome;
  const own = isJsonObject(outcome.result._meta) ? outcome.result._meta : {};
  return { result: edited(outcome.result, { _meta: edited(own, { [RELATED]: { taskId } }) }) };
}

function outcomeOf(standing: Exclude<TaskState, { readonly status: 'working' }>, form: TaskForm): RpcOutcome {
  return standing.status === 'ended'
    ? standing.outcome
    : { result: toolResult(standing.refusal, 'question', form === 'extension') };
}

function snapshot(form: TaskForm, { taskId, createdAt, updatedAt, ttlMs }: TaskFacts, standing: TaskState): JsonObject {
  const words = wordsOf(standing);
  const pollMs = standing.status === 'working' ? standing.pollMs : undefined;
  return {
    taskId,
    status: statusOf(form, standing),
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
function statusOf(form: TaskForm, standing: TaskState): string {
  if (standing.status === 'working') return 'working';
  if (standing.status === 'refused') return standing.cancelled ? 'cancelled' : form === 'core' ? 'failed' : 'completed';
  if ('error' in standing.outcome) return 'failed';
  return form === 'core' && standing.outcome.result.isError === true ? 'failed' : 'completed';
}

/**
 * Clients of the core form show a failed task's message and do not fetch its result, so the message says what the model
 * has to know.
 */
function wordsOf(standing: TaskState): string | undefined {
  if (standing.status === 'working') return standing.words;
  if (standing.status === 'refused') return tell(standing.refusal, 'question');
  const { outcome } = standing;
  if ('error' in outcome) return typeof outcome.error.message === 'string' ? outcome.error.message : undefined;
  const first =
    outcome.result.isError === true && Array.isArray(outcome.result.content) ? outcome.result.content[0] : undefined;
  return isJsonObject(first) && typeof first.text === 'string' ? first.text : undefined;
}
