// Writes a refusal to the agent in the form that its protocol expects: the protocol's own (MCP: a tool result or a
// JSON-RPC error), a 202 for an agent that asked for one, or a problem document. The words are the same in each.

import { defined } from '../domain/defined.ts';
import { waitPreference } from '../domain/prefer.ts';
import type { FailedCall, Reached } from '../domain/stages.ts';
import { type AnswerTo, answerTo } from '../domain/telling.ts';
import type { GatewayError } from '../errors.ts';
import { type Answer, accepted, type ProblemContext, problem, problemFields } from '../problem.ts';

export interface AnswerParts {
  challenge(error: GatewayError, last: Reached): string;
  /** How the agent of a call reaches the gateway. */
  base(last: Reached): string | undefined;
}

/** Gives the status that went out. */
export function answerCall(failed: Reached & FailedCall, parts: AnswerParts): number {
  const { call, error, mount } = failed;
  const own = mount?.handler?.refusal(failed);
  if (own?.written) return own.status;
  const context = {
    requestId: call.id,
    to: asked(failed),
    challenge: parts.challenge(error, failed),
    ...defined({ base: parts.base(failed) }),
  };
  const { status, headers, body } =
    own === undefined
      ? inHttp(failed, context)
      : { ...own, headers: ['content-type', own.contentType, ...problemFields(error, context)] };
  call.sink.whole(status, headers, Buffer.from(body));
  return status;
}

/** An MCP message that was refused unread may be a question about a call that was executed long ago. */
function asked({ mount, action }: Reached): AnswerTo {
  return action === undefined && mount?.protocol === 'mcp' ? 'question' : answerTo(action);
}

function inHttp({ error, arrived }: Reached & FailedCall, context: ProblemContext): Answer {
  return error.code === 'approval_pending' && arrived !== undefined && waitPreference(arrived.headers).respondAsync
    ? accepted(error, context)
    : problem(error, context);
}
