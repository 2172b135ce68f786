// The way of a vote: judge, record, count. The record is on disk before the vote can take effect (records.ts says how a
// record is told from a vote in force), and the vote is judged again in the transaction that counts it.

import type { Ballot } from '../domain/approvals.ts';
import type { Hold, Vote } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { apply, type Desk, look } from './desk.ts';
import { voteRecord } from './records.ts';
import { judgeBallot, judgeRevocation } from './voting.ts';

/** `Approvals.vote`. Throws as the port says, and `audit_unavailable`, `bad_vote`. */
export async function castVote(desk: Desk, id: string, reviewer: Reviewer, ballot: Ballot): Promise<Hold> {
  if (ballot.decision !== 'approve' && ballot.decision !== 'deny') throw new GatewayError('bad_vote', 'A vote approves or denies.', { holdId: id });
  const shown = await look(desk, id);
  const judged = judgeBallot(shown, reviewer, ballot, desk.store.now(), desk);
  const openedAt = desk.openings.at(id, reviewer.id);
  const vote: Vote = { ...judged, ...(openedAt !== undefined && { openedAt }), span: desk.tracing.reviewed(shown, judged) };
  await desk.audit.append('vote', vote.at, voteRecord(shown, vote, { phase: 'cast' }), 'fsync');
  try {
    const hold = await apply(desk, id, (seen) => {
      judgeBallot(seen, reviewer, ballot, desk.store.now(), desk);
      return { type: 'vote', vote, suspended: desk.suspended() };
    });
    follow(desk, shown, vote, { phase: 'counted', state: hold.state });
    desk.metrics.reviewed(vote.decision, Math.max(0, vote.at - (openedAt ?? hold.createdAt)) / 1_000);
    return hold;
  } catch (thrown) {
    follow(desk, shown, vote, { phase: 'void', code: asGatewayError(thrown).code });
    throw thrown;
  }
}

/** `Approvals.revoke`. Not held back by the audit log: taking back only ever prevents an effect; the ending is recorded as every ending is. */
export async function revokeHold(desk: Desk, id: string, reviewer: Reviewer, reason: string | undefined): Promise<Hold> {
  await look(desk, id);
  return apply(desk, id, (seen) => ({ type: 'revoke', because: judgeRevocation(seen, reviewer, reason, desk.store.now(), desk) }));
}

function follow(desk: Desk, hold: Hold, vote: Vote, phase: Parameters<typeof voteRecord>[2]): void {
  desk.audit.append('vote', desk.store.now(), voteRecord(hold, vote, phase), 'soon').catch((thrown: unknown) => {
    desk.log.error('approvals.vote_sequel_unrecorded', { hold: hold.id, phase: phase.phase, error: asGatewayError(thrown).code });
  });
}
