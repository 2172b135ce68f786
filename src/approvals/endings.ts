// What an agent is told when a hold does not let its call through: one error per state, in words for a language model.
// Trusts the stored state only; a detail never repeats a reason or anything else that a person or an agent wrote.

import type { Hold } from '../domain/hold.ts';
import { GatewayError } from '../errors.ts';

/** The refusal for a hold that has ended or is being sent for somebody else. Throws TypeError for PENDING and APPROVED: those are not endings. */
export function endingOf(hold: Hold): GatewayError {
  const about = { holdId: hold.id };
  switch (hold.state) {
    case 'DENIED':
      return new GatewayError('approval_denied', 'A reviewer denied this call. It was not executed. Do not rephrase it or look for another way.', about);
    case 'EXPIRED':
      return expiryOf(hold);
    case 'REVOKED':
      return new GatewayError('approval_revoked', 'The hold was taken back before the call was sent. It was not executed.', about);
    case 'CANCELLED':
      return new GatewayError('approval_revoked', 'The hold was cancelled by its agent. The call was not executed.', about);
    case 'INVALIDATED':
      return new GatewayError('approval_invalidated', 'The policy, the task, the caller or a reviewer’s standing changed. The call was not executed.', about);
    case 'RELEASING':
    case 'SENT':
      return new GatewayError('already_sent', 'An identical request used this approval and is being sent now. This one was not executed.', {
        ...about,
        members: { outcome: hold.state },
      });
    case 'OUTCOME_UNKNOWN':
      return new GatewayError('outcome_unknown', 'The call was sent, and it is not known whether it took effect. It is not sent again.', about);
    case 'EXECUTED':
    case 'UPSTREAM_ERROR':
      return sentAlready(hold);
    case 'PENDING':
    case 'APPROVED':
      throw new TypeError(`a hold in ${hold.state} has not ended`);
  }
}

/** 409 with the recorded outcome, for an Idempotency-Key that was used before. */
export function sentAlready(hold: Hold): GatewayError {
  return new GatewayError('already_sent', 'This call was sent before and is not sent twice; its recorded outcome is in this answer.', {
    holdId: hold.id,
    members: { outcome: hold.state, ...(hold.outcomeStatus === undefined ? {} : { outcomeStatus: hold.outcomeStatus }) },
  });
}

/** The wait is over and nobody has decided: send the same request again. */
export function stillPending(holdId: string): GatewayError {
  // Spread over a few seconds, so that waits which ended together do not come back together.
  const retryAfter = 2 + Math.floor(Math.random() * 4);
  return new GatewayError(
    'approval_pending',
    'The call was not executed: it waits for a human decision, and nobody has decided yet. Send the identical request again later; do not rephrase it or look for another way.',
    { holdId, retryAfter },
  );
}

function expiryOf(hold: Hold): GatewayError {
  const about = { holdId: hold.id };
  if (hold.expiryReason === 'undecided') return new GatewayError('approval_expired', 'Nobody decided in time. The call was not executed.', about);
  if (hold.expiryReason === 'unused') {
    return new GatewayError('approval_unused', 'The approval ran out before the call came back for it. The call was not executed.', about);
  }
  return new GatewayError('approval_expired', 'The gateway stopped before the call was sent. It was not executed, and the approval is spent.', about);
}
