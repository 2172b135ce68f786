// A call that runs as a task, or a poll for one, and the answers that its client gets. Pure; tasks.ts decides when they
// are sent.

import type { TaskForm } from '../../domain/action.ts';
import type { Recalled } from '../../domain/approvals.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import type { GatewayError } from '../../errors.ts';
import { rpcError } from '../refusal.ts';
import { stillExecuting } from './questions.ts';
import { type RpcOutcome, type TaskFacts, type TaskState, taskResult, taskView } from './views.ts';

export interface TaskRun {
  readonly asks: 'create' | 'get' | 'result';
  /** Where the client's own answer goes. */
  sink: ResponseSink;
}

export interface ActiveTaskRun extends TaskRun {
  readonly form: TaskForm;
  readonly facts: TaskFacts;
  readonly rpcId: string | number;
  /** For a poll: reads its hold again. */
  readonly recall?: () => Promise<Recalled>;
  answered: boolean;
  /** Whose call it is, for a call that no rule held. */
  readonly owner?: string;
  /** Set while the call is being executed. */
  end?: (outcome: RpcOutcome | undefined) => void;
}

export const PENDING_POLL_MS = 2_000;
export const RUNNING_POLL_MS = 1_000;

export const WAITING =
  'A person has to decide on this call. Nothing was executed yet. The task ends by itself; do not rephrase ' +
  'the call or look for another way.';
export const APPROVED = 'A person approved this call, and it has not been sent yet.';
export const EXECUTING = 'The call is on its way, and its answer has not come yet.';

export const EXECUTION = { status: 'working', words: EXECUTING, pollMs: RUNNING_POLL_MS } as const;

export function workingTo({ asks, form, facts }: ActiveTaskRun, standing: TaskState): RpcOutcome {
  return asks === 'result'
    ? { error: rpcError(stillExecuting(), 'question') }
    : { result: taskView(form, facts, standing) };
}

export function answerTo(
  { form, asks, facts }: ActiveTaskRun,
  standing: Exclude<TaskState, { readonly status: 'working' }>,
): RpcOutcome {
  return asks === 'result' ? taskResult(facts, standing) : { result: taskView(form, facts, standing) };
}

/** The answer to a poll that sent nothing: its hold has ended, is still pending, or only this attempt failed. */
export function refusalTo(run: ActiveTaskRun, error: GatewayError): RpcOutcome {
  if (error.details.ended) return answerTo(run, { status: 'refused', refusal: error, cancelled: false });
  if (error.code === 'approval_pending' && run.asks === 'get') {
    return { result: taskView(run.form, run.facts, { status: 'working', words: WAITING, pollMs: PENDING_POLL_MS }) };
  }
  // The upstream is full. The approval stays, and a later poll uses it.
  if (error.code === 'too_many_calls' && run.recall !== undefined && run.asks === 'get') {
    return { result: taskView(run.form, run.facts, { status: 'working', words: APPROVED, pollMs: PENDING_POLL_MS }) };
  }
  return { error: rpcError(error, run.recall === undefined ? 'call' : 'question') };
}
