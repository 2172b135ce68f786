// Writes a refusal to the agent in the form that its protocol expects: a problem document, a 202 for who asked for one,
// or the MCP form (a tool result or a JSON-RPC error). The words are the same in each.

import { defined } from '../domain/defined.ts';
import { waitPreference } from '../domain/prefer.ts';
import type { FailedCall, Reached } from '../domain/stages.ts';
import { type AnswerTo, answerTo } from '../domain/telling.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import type { GatewayError } from '../errors.ts';
import { renderMcpRefusal } from '../mcp/refusal.ts';
import type { RequestStates } from '../mcp/request-state.ts';
import type { GatewayTasks } from '../mcp/tasks/tasks.ts';
import { type Answer, accepted, type ProblemContext, problem, problemFields } from '../problem.ts';

export interface AnswerParts {
  challenge(error: GatewayError, last: Reached): string;
  /** How the agent of a call reaches the gateway. */
  base(last: Reached): string | undefined;
  readonly states: Pick<RequestStates, 'issue'>;
  readonly tasks: Pick<GatewayTasks, 'refused'>;
}

/** Gives the status that went out. */
export function answerCall(failed: Reached & FailedCall, parts: AnswerParts): number {
  const { call, error } = failed;
  const status = parts.tasks.refused(failed);
  if (status !== undefined) return status;
  const context = {
    requestId: call.id,
    to: asked(failed),
    challenge: parts.challenge(error, failed),
    ...defined({ base: parts.base(failed) }),
  };
  return write(call.sink, render(failed, context, parts.states));
}

/** An MCP message that was refused unread may be a question about a call that was executed long ago. */
function asked({ mount, action }: Reached): AnswerTo {
  return action === undefined && mount?.protocol === 'mcp' ? 'question' : answerTo(action);
}

function render(
  { error, arrived, action, principal }: Reached & FailedCall,
  context: ProblemContext,
  states: AnswerParts['states'],
): Answer {
  if (action?.protocol === 'mcp') {
    const rpc = renderMcpRefusal(error, action, principal && ((holdId) => states.issue(principal, action, holdId)));
    if (rpc !== undefined)
      return {
        status: rpc.status,
        headers: ['content-type', rpc.contentType, ...problemFields(error, context)],
        body: rpc.body,
      };
  }
  if (error.code === 'approval_pending' && arrived !== undefined && waitPreference(arrived.headers).respondAsync)
    return accepted(error, context);
  return problem(error, context);
}

function write(sink: ResponseSink, { status, headers, body }: Answer): number {
  sink.whole(status, headers, Buffer.from(body));
  return status;
}
