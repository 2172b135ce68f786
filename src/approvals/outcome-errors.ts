// What an agent is told when a hold does not let its call through: one error for each state. The state alone says
// whether the call was sent, so each error states what is known of the call's effect. Trusts the stored state only. Of
// what people wrote, an error repeats a rule's message, and the reason of a denial where the tiers allow it
// (domain/told-reason.ts).

import type { HoldRequest } from '../domain/approvals.ts';
import { becauseWords } from '../domain/because.ts';
import { defined } from '../domain/defined.ts';
import type { Hold, SettledHold } from '../domain/hold.ts';
import { denialWords, messageWords } from '../domain/told-reason.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';

/**
 * The refusal for a hold that has ended, or whose approval another request is using. Throws TypeError for PENDING and
 * APPROVED: those holds have not ended.
 */
export function outcomeErrorOf(hold: Hold): GatewayError {
  switch (hold.state) {
    case 'DENIED':
      return unsent(hold, 'approval_denied', `A reviewer denied this call.${denialWords(hold)}`);
    case 'EXPIRED':
      return expiryOf(hold);
    case 'REVOKED':
      return unsent(hold, 'approval_revoked', 'The hold was taken back before the call was sent.');
    case 'CANCELLED':
      return unsent(hold, 'approval_revoked', 'The hold was cancelled by its agent.');
    case 'INVALIDATED':
      return unsent(
        hold,
        'approval_invalidated',
        'The policy, the task, the caller, what is known of the call, or a reviewer’s standing changed.',
      );
    case 'RELEASING':
    case 'SENT':
      return sent(hold, 'already_sent', 'An identical request has used this approval and is being sent now.', {
        outcome: hold.state,
      });
    case 'OUTCOME_UNKNOWN':
      return sent(hold, 'outcome_unknown', 'The call was sent once, and it is not known whether the upstream did it.');
    case 'EXECUTED':
    case 'UPSTREAM_ERROR':
      return sentAlready(hold);
    case 'PENDING':
    case 'APPROVED':
      throw new TypeError(`a hold in ${hold.state} has not ended`);
  }
}

/** 409 with the recorded outcome, for an Idempotency-Key that was used before. */
export function sentAlready(hold: SettledHold): GatewayError {
  const { id, state: outcome, outcomeStatus } = hold;
  if (outcomeStatus !== undefined) {
    const detail = `This call was sent once, and the upstream answered with status ${outcomeStatus}.`;
    return sent(hold, 'already_sent', detail, { outcome, outcomeStatus });
  }
  if (outcome === 'OUTCOME_UNKNOWN') {
    const detail = 'This call was sent once, and it is not known whether the upstream did it.';
    return sent(hold, 'already_sent', detail, { outcome });
  }
  const detail = 'The approval of this call was used, and not a byte of it reached the upstream.';
  return new GatewayError('already_sent', detail, { holdId: id, executed: 'no', members: { outcome } });
}

/** The wait is over and nobody has decided: send the same request again. */
export function stillPending(
  { id, deadline, requirements }: Hold,
  { decision, leftBehind }: Pick<HoldRequest, 'decision' | 'leftBehind'>,
): GatewayError {
  // Spread over a few seconds, so that calls whose waits ended together do not come back together.
  const retryAfter = 2 + Math.floor(Math.random() * 4);
  const needs = requirements.map(({ count, reviewers }) => `${count} of ${reviewers.join(', ')}`).join(' and ');
  const more = `${becauseWords(decision.because)}${messageWords(decision.messages)}`;
  const detail = `This call waits for a human decision, and nobody has decided yet.${more}`;
  const pending = { deadline: new Date(deadline).toISOString(), needs };
  return new GatewayError('approval_pending', detail, {
    ...{ holdId: id, retryAfter, executed: 'no', pending },
    members: {
      reasons: decision.reasons,
      ...defined({ because: decision.because }),
      ...(leftBehind.length > 0 && { fieldsLeftBehind: leftBehind }),
    },
  });
}

function expiryOf(hold: Extract<Hold, { readonly state: 'EXPIRED' }>): GatewayError {
  if (hold.expiryReason === 'undecided') return unsent(hold, 'approval_expired', 'Nobody decided in time.');
  if (hold.expiryReason === 'unused')
    return unsent(hold, 'approval_unused', 'The approval ran out before the call used it.');
  return unsent(
    hold,
    'approval_expired',
    'The call was approved, it ended before it was sent, and the approval is spent.',
  );
}

function unsent({ id }: Hold, code: ErrorCode, detail: string): GatewayError {
  return new GatewayError(code, detail, { holdId: id, executed: 'no', ended: true });
}

function sent(
  { id }: Hold,
  code: ErrorCode,
  detail: string,
  members?: Readonly<Record<string, unknown>>,
): GatewayError {
  return new GatewayError(code, detail, { holdId: id, executed: 'maybe', ...(members && { members }) });
}
