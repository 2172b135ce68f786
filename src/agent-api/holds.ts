// GET and DELETE /countersign/v1/holds/{id}: the state of a held call, for the agent that made the call. GET long-polls
// with `Prefer: wait=N`. Agents do not learn who voted or why.

import type { Approvals } from '../domain/approvals.ts';
import type { Hold, HoldProgress } from '../domain/hold.ts';
import { waitPreference } from '../domain/prefer.ts';
import { denialWords } from '../domain/told-reason.ts';
import type { ErrorCode } from '../errors.ts';
import { json, type OwnRequest } from './own-request.ts';

export interface HoldRoutes {
  readonly approvals: Approvals;
  /** Longest long-poll, ms. */
  readonly longestWaitMs: () => number;
}

/** Seconds until a pending hold is worth asking about again. */
const RETRY_AFTER_S = 2;

export function holdRoutes({ approvals, longestWaitMs }: HoldRoutes) {
  return {
    'holds/{id}': {
      GET: async ({ request, principal, id }: OwnRequest) => {
        const waitMs = Math.min(waitPreference(request.headers).waitMs ?? 0, longestWaitMs());
        const hold = await approvals.view(id, principal, waitMs);
        return json(200, view(hold), hold.state === 'PENDING' ? ['retry-after', String(RETRY_AFTER_S)] : []);
      },
      DELETE: async ({ principal, id }: OwnRequest) => json(200, view(await approvals.cancel(id, principal))),
    },
  };
}

/**
 * What an agent may know of its hold. `code` is the error that the call itself would get now; absent if the call was
 * sent or can be sent.
 */
export function view(hold: Hold) {
  const code = codeOf(hold);
  const { useBy, outcomeStatus, endedBecause }: HoldProgress = hold;
  return {
    id: hold.id,
    state: hold.state,
    ...(code !== undefined && { code }),
    detail: wordsOf(hold),
    actionDigest: hold.actionDigest,
    bindingDigest: hold.bindingDigest,
    method: hold.action.method,
    target: hold.action.target,
    upstream: hold.action.upstream,
    ...(hold.action.tool !== undefined && { tool: hold.action.tool }),
    createdAt: new Date(hold.createdAt),
    deadline: new Date(hold.deadline),
    ...(useBy !== undefined && { useBy: new Date(useBy) }),
    ...(outcomeStatus !== undefined && { outcome: { status: outcomeStatus } }),
    ...(endedBecause !== undefined && { endedBecause }),
  };
}

const WORDS: Readonly<Record<Hold['state'], string>> = {
  PENDING: 'Nothing was executed and nobody has decided yet. Wait; do not rephrase the call or look for another way.',
  APPROVED: 'Approved. Send the identical request again to have it executed.',
  RELEASING: 'Approved and about to be sent.',
  SENT: 'Sent; the answer has not ended yet.',
  EXECUTED: 'Sent once; the upstream answered, and its status is no error.',
  UPSTREAM_ERROR: 'Sent once; the upstream answered with an error. The call may have taken effect.',
  OUTCOME_UNKNOWN:
    'Sent once; it is not known whether it took effect. ' +
    'Have a person look at the upstream before anything is tried again.',
  DENIED: 'A reviewer denied this call. Nothing was executed. Do not rephrase it or look for another way.',
  EXPIRED: 'The time ran out. Nothing was executed.',
  CANCELLED: 'Cancelled by its agent. Nothing was executed.',
  REVOKED: 'Withdrawn. Nothing was executed.',
  INVALIDATED: 'What was asked for is no longer what would happen. Nothing was executed.',
};

function wordsOf(hold: Hold): string {
  if (hold.state === 'UPSTREAM_ERROR' && hold.outcomeStatus === undefined)
    return 'The upstream could not be reached. Nothing was executed; the approval is spent.';
  if (hold.state === 'EXPIRED' && hold.expiryReason === 'abandoned')
    return 'Approved, but the call ended before it was sent. Nothing was executed; the approval is spent.';
  return hold.state === 'DENIED' ? WORDS.DENIED + denialWords(hold) : WORDS[hold.state];
}

function codeOf(hold: Hold): ErrorCode | undefined {
  switch (hold.state) {
    case 'PENDING':
      return 'approval_pending';
    case 'DENIED':
      return 'approval_denied';
    case 'EXPIRED':
      return hold.expiryReason === 'unused' ? 'approval_unused' : 'approval_expired';
    case 'CANCELLED':
    case 'REVOKED':
      return 'approval_revoked';
    case 'INVALIDATED':
      return 'approval_invalidated';
    case 'OUTCOME_UNKNOWN':
      return 'outcome_unknown';
    default:
      return undefined;
  }
}
