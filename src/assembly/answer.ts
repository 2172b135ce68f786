// Writes a refusal to the agent in the form that its protocol expects: a problem document, a 202 for who asked for one,
// or the MCP form (a tool result or a JSON-RPC error). The words are the same in each.

import { waitPreference } from '../domain/prefer.ts';
import type { Call } from '../domain/stages.ts';
import { type AnswerTo, answerTo } from '../domain/telling.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import type { GatewayError } from '../errors.ts';
import { renderMcpRefusal } from '../mcp/refusal.ts';
import type { RequestStates } from '../mcp/request-state.ts';
import type { GatewayTasks } from '../mcp/tasks/tasks.ts';
import { type Answer, accepted, type ProblemContext, problem, problemFields } from '../problem.ts';

export interface AnswerParts {
  challenge(error: GatewayError, call: Call): string;
  /** How the agent of a call reaches the gateway. */
  base(call: Call): string | undefined;
  readonly states: Pick<RequestStates, 'issue'>;
  readonly tasks: Pick<GatewayTasks, 'refused'>;
}

/** Gives the status that went out. */
export function answerCall(call: Call, error: GatewayError, parts: AnswerParts): number {
  const status = parts.tasks.refused(call, error);
  if (status !== undefined) return status;
  const base = parts.base(call);
  const context = {
    requestId: call.facts.id,
    to: asked(call),
    challenge: parts.challenge(error, call),
    ...(base !== undefined && { base }),
  };
  return write(call.sink, render(call, error, context, parts.states));
}

/** An MCP message that was refused unread may be a question about a call that was executed long ago. */
function asked({ mount, facts: { action } }: Call): AnswerTo {
  return action === undefined && mount?.protocol === 'mcp' ? 'question' : answerTo(action);
}

function render(call: Call, error: GatewayError, context: ProblemContext, states: AnswerParts['states']): Answer {
  const { request, action, principal } = call.facts;
  if (action?.protocol === 'mcp') {
    const rpc = renderMcpRefusal(error, action, principal && ((holdId) => states.issue(principal, action, holdId)));
    if (rpc !== undefined)
      return {
        status: rpc.status,
        headers: ['content-type', rpc.contentType, ...problemFields(error, context)],
        body: rpc.body,
      };
  }
  if (error.code === 'approval_pending' && request !== undefined && waitPreference(request.headers).respondAsync)
    return accepted(error, context);
  return problem(error, context);
}

function write(sink: ResponseSink, { status, headers, body }: Answer): number {
  sink.whole(status, headers, Buffer.from(body));
  return status;
}
