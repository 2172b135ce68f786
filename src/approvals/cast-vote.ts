// How a vote is cast: judge it, record it, count it. The record is on disk before the vote can take effect, and the
// vote is judged again in the transaction that counts it. records.ts explains how a reader of the log tells a recorded
// vote from a vote in force.

import type { Ballot } from '../domain/approvals.ts';
import type { Hold, Vote } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type ApprovalContext, apply, look } from './context.ts';
import { voteRecord } from './records.ts';
import { judgeBallot, judgeRevocation } from './voting.ts';

/** `Approvals.vote`. Throws as the port says, and `audit_unavailable`, `bad_vote`. */
export async function castVote(
  context: ApprovalContext,
  id: string,
  reviewer: Reviewer,
  ballot: Ballot,
): Promise<Hold> {
  if (ballot.decision !== 'approve' && ballot.decision !== 'deny')
    throw new GatewayError('bad_vote', 'A vote approves or denies.', { holdId: id });
  const shown = await look(context, id);
  const judged = judgeBallot(shown, reviewer, ballot, context.store.now(), context);
  const openedAt = context.firstViews.at(id, reviewer.id);
  const vote: Vote = {
    ...judged,
    ...(openedAt !== undefined && { openedAt }),
    span: context.tracing.reviewed(shown, judged),
  };
  await context.audit.append('vote', vote.at, voteRecord(shown, vote, { phase: 'cast' }), 'fsync');
  try {
    const hold = await apply(context, id, (seen) => {
      judgeBallot(seen, reviewer, ballot, context.store.now(), context);
      return { type: 'vote', vote, suspended: context.suspended() };
    });
    follow(context, shown, vote, { phase: 'counted', state: hold.state });
    context.metrics.reviewed(vote.decision, Math.max(0, vote.at - (openedAt ?? hold.createdAt)) / 1_000);
    return hold;
  } catch (thrown) {
    follow(context, shown, vote, { phase: 'void', code: asGatewayError(thrown).code });
    throw thrown;
  }
}

/**
 * `Approvals.revoke`. Does not wait for the audit log, since taking back can only prevent an effect. The ending is
 * recorded like every other.
 */
export async function revokeHold(
  context: ApprovalContext,
  id: string,
  reviewer: Reviewer,
  reason: string | undefined,
): Promise<Hold> {
  await look(context, id);
  return apply(context, id, (seen) => ({
    type: 'revoke',
    because: judgeRevocation(seen, reviewer, reason, context.store.now(), context),
  }));
}

function follow(context: ApprovalContext, hold: Hold, vote: Vote, phase: Parameters<typeof voteRecord>[2]): void {
  context.audit.append('vote', context.store.now(), voteRecord(hold, vote, phase), 'soon').catch((thrown: unknown) => {
    context.log.error('approvals.vote_sequel_unrecorded', {
      hold: hold.id,
      phase: phase.phase,
      error: asGatewayError(thrown).code,
    });
  });
}
