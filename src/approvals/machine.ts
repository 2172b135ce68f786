// The state machine of a hold, DESIGN section 7: pure functions from a hold, an event and the store's time to the next
// hold. An event that a state does not know throws `hold_closed`; nothing leaves a terminal state, and only the holder
// of the claim moves a hold that is being released. Trusts the votes to have been judged (voting.ts) in the same
// transaction.

import type { EpochMs } from '../domain/clock.ts';
import type { ExpiryReason, Hold, HoldState, Vote } from '../domain/hold.ts';
import { GatewayError } from '../errors.ts';
import { requirementsOf } from './escalation.ts';
import { approversOf, isSatisfied } from './quorum.ts';

export type HoldEvent =
  | { readonly type: 'vote'; readonly vote: Vote; readonly suspended: ReadonlySet<string> }
  /** The clock of the state ran out: deadline while PENDING, useBy while APPROVED. */
  | { readonly type: 'expire' }
  | { readonly type: 'cancel' }
  | { readonly type: 'revoke'; readonly because: string }
  | { readonly type: 'invalidate'; readonly because: string }
  | { readonly type: 'claim'; readonly claim: string; readonly claimedBy: string }
  | { readonly type: 'send'; readonly claim: string }
  /** It ended without a byte sent: by its claimant, or by the sweep after the claimant died. */
  | { readonly type: 'abandon'; readonly claim: string }
  /** The upstream's answer, or `known: false` when none came to its end. */
  | { readonly type: 'finish'; readonly claim: string; readonly known: boolean; readonly status?: number }
  /** The agent was told of the ending. */
  | { readonly type: 'report' };

const NEXT: Readonly<Record<HoldState, readonly HoldEvent['type'][]>> = {
  PENDING: ['vote', 'expire', 'cancel', 'revoke', 'invalidate'],
  APPROVED: ['vote', 'expire', 'cancel', 'revoke', 'invalidate', 'claim'],
  RELEASING: ['send', 'abandon'],
  SENT: ['finish'],
  EXECUTED: ['report'],
  UPSTREAM_ERROR: ['report'],
  OUTCOME_UNKNOWN: ['report'],
  DENIED: ['report'],
  EXPIRED: ['report'],
  CANCELLED: ['report'],
  REVOKED: ['report'],
  INVALIDATED: ['report'],
};

/** True when nothing but `report` can happen any more. */
export function isTerminal(state: HoldState): boolean {
  return NEXT[state][0] === 'report';
}

/** True while reviewers may decide and the agent may cancel: PENDING or APPROVED, and its clock has not run out. */
export function isOpen(hold: Hold, now: EpochMs): boolean {
  return (hold.state === 'PENDING' || hold.state === 'APPROVED') && !hasRunOut(hold, now);
}

/** True when the clock that rules the hold's state has run out; the hold then becomes EXPIRED whoever looks first. */
export function hasRunOut(hold: Hold, now: EpochMs): boolean {
  if (hold.state === 'PENDING') return now >= hold.deadline;
  return hold.state === 'APPROVED' && now >= (hold.useBy ?? 0);
}

/**
 * The hold after the event. Throws `hold_closed` when its state does not know the event, or the claim is not the one
 * that won.
 */
export function advance(hold: Hold, event: HoldEvent, now: EpochMs): Hold {
  if (!NEXT[hold.state].includes(event.type)) throw closed(hold, event);
  switch (event.type) {
    case 'vote':
      return afterVote(hold, event.vote, event.suspended, now);
    case 'expire':
      if (!hasRunOut(hold, now)) throw closed(hold, event);
      return expired(hold, hold.state === 'PENDING' ? 'undecided' : 'unused', now);
    case 'cancel':
      return ended(hold, { state: 'CANCELLED' }, now);
    case 'revoke':
      return ended(hold, { state: 'REVOKED', endedBecause: event.because }, now);
    case 'invalidate':
      return ended(hold, { state: 'INVALIDATED', endedBecause: event.because }, now);
    case 'claim':
      if (hasRunOut(hold, now)) throw closed(hold, event);
      return { ...hold, state: 'RELEASING', claim: event.claim, claimedBy: event.claimedBy };
    case 'send':
      if (hold.claim !== event.claim) throw closed(hold, event);
      return { ...hold, state: 'SENT', sentAt: now };
    case 'abandon':
      if (hold.claim !== event.claim) throw closed(hold, event);
      return expired(hold, 'abandoned', now);
    case 'finish':
      if (hold.claim !== event.claim) throw closed(hold, event);
      return ended(
        hold,
        { state: outcomeState(event), ...(event.status === undefined ? {} : { outcomeStatus: event.status }) },
        now,
      );
    case 'report':
      return { ...hold, reportedAt: hold.reportedAt ?? now };
  }
}

function afterVote(hold: Hold, vote: Vote, suspended: ReadonlySet<string>, now: EpochMs): Hold {
  if (hasRunOut(hold, now)) throw closed(hold, { type: 'vote' });
  const votes = [...hold.votes, vote];
  if (vote.decision === 'deny') return ended(hold, { state: 'DENIED', votes }, now);
  if (hold.state === 'APPROVED') throw closed(hold, { type: 'vote' });
  if (!isSatisfied(requirementsOf(hold, now), approversOf(votes, suspended))) return { ...hold, votes };
  const useWithinMs = Math.min(...hold.requirements.map((requirement) => requirement.useWithinMs));
  return { ...hold, votes, state: 'APPROVED', approvedAt: now, useBy: now + useWithinMs };
}

function outcomeState(outcome: { readonly known: boolean; readonly status?: number }): HoldState {
  if (!outcome.known) return 'OUTCOME_UNKNOWN';
  return outcome.status !== undefined && outcome.status < 400 ? 'EXECUTED' : 'UPSTREAM_ERROR';
}

const expired = (hold: Hold, expiryReason: ExpiryReason, now: EpochMs): Hold =>
  ended(hold, { state: 'EXPIRED', expiryReason }, now);

function ended(hold: Hold, ending: Partial<Hold> & Pick<Hold, 'state'>, now: EpochMs): Hold {
  return { ...hold, ...ending, endedAt: now };
}

function closed(hold: Hold, event: Pick<HoldEvent, 'type'>): GatewayError {
  return new GatewayError('hold_closed', `The hold is ${hold.state}; ${event.type} does not apply to it.`, {
    holdId: hold.id,
  });
}
