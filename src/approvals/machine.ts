// The state machine of a hold, DESIGN section 7: pure functions from a hold, an event and the store's time to the next
// hold. No other file writes a hold's state. An event that a state does not know throws `hold_closed`. Nothing leaves
// an ended state, and only the holder of the claim moves a hold that is being released. Trusts the votes: voting.ts has
// judged them in the same transaction.

import type { EpochMs } from '../domain/clock.ts';
import { defined } from '../domain/defined.ts';
import {
  type ApprovedHold,
  ENDED_STATES,
  type EndedHold,
  type Hold,
  type HoldState,
  type NewHold,
  type OpenHold,
  type PendingHold,
  type SentHold,
  type Vote,
} from '../domain/hold.ts';
import { GatewayError } from '../errors.ts';
import { bindingDigest } from './binding.ts';
import { nextEscalation, requirementsOf } from './escalation.ts';
import { approversOf, isSatisfied } from './quorum.ts';

export type HoldEvent =
  | { readonly type: 'vote'; readonly vote: Vote; readonly suspended: ReadonlySet<string> }
  /** The second group is told. Its right to vote does not wait for this. */
  | { readonly type: 'escalate' }
  /** The clock of the state ran out: deadline while PENDING, useBy while APPROVED. */
  | { readonly type: 'expire' }
  | { readonly type: 'cancel' }
  | { readonly type: 'revoke'; readonly because: string }
  | { readonly type: 'invalidate'; readonly because: string }
  | { readonly type: 'claim'; readonly claim: string; readonly claimedBy: string }
  | { readonly type: 'send'; readonly claim: string }
  /** The call ended without a byte sent: its claimant says so, or the sweep after the claimant died. */
  | { readonly type: 'abandon'; readonly claim: string }
  /** The upstream's answer, or `known: false` when none came to its end. */
  | { readonly type: 'finish'; readonly claim: string; readonly known: boolean; readonly status?: number }
  /** The agent was told of the ending. */
  | { readonly type: 'report' };

const ENDED: ReadonlySet<HoldState> = new Set(ENDED_STATES);

/** True when nothing but `report` can happen any more. */
export function isEnded(hold: Hold): hold is EndedHold {
  return ENDED.has(hold.state);
}

/** The same for a state alone. */
export function isEndState(state: HoldState): boolean {
  return ENDED.has(state);
}

/** True while reviewers may decide and the agent may cancel: PENDING or APPROVED, and its clock has not run out. */
export function isOpen(hold: Hold, now: EpochMs): boolean {
  return (hold.state === 'PENDING' || hold.state === 'APPROVED') && !hasRunOut(hold, now);
}

/** True when the clock that rules the hold's state has run out; the hold then becomes EXPIRED whoever looks first. */
export function hasRunOut(hold: Hold, now: EpochMs): boolean {
  if (hold.state === 'PENDING') return now >= hold.deadline;
  return hold.state === 'APPROVED' && now >= hold.useBy;
}

/** The first version of a hold, at the store's time: its deadline starts now, and with the deadline all is bound. */
export function openHold(record: NewHold, now: EpochMs): PendingHold {
  const deadline = now + Math.min(...record.requirements.map((requirement) => requirement.decideWithinMs));
  return {
    ...record,
    state: 'PENDING',
    version: 1,
    votes: [],
    createdAt: now,
    deadline,
    ...nextEscalation(record.requirements, now, now),
    bindingDigest: bindingDigest({ ...record, deadline }),
  };
}

/**
 * The hold after the event. Throws `hold_closed` when the hold's state does not know the event, or the claim is not the
 * one that won.
 */
export function advance(hold: Hold, event: HoldEvent, now: EpochMs): Hold {
  const next = after(hold, event, now);
  if (next !== undefined) return next;
  throw new GatewayError('hold_closed', `The hold is ${hold.state}; ${event.type} does not apply to it.`, {
    holdId: hold.id,
  });
}

/** Undefined when the event does not apply. */
function after(hold: Hold, event: HoldEvent, now: EpochMs): Hold | undefined {
  switch (hold.state) {
    case 'PENDING':
    case 'APPROVED':
      return afterWhileOpen(hold, event, now);
    case 'RELEASING':
      if (event.type === 'send' && event.claim === hold.claim) return { ...hold, state: 'SENT', sentAt: now };
      if (event.type === 'abandon' && event.claim === hold.claim)
        return { ...hold, state: 'EXPIRED', expiryReason: 'abandoned', endedAt: now };
      return undefined;
    case 'SENT':
      return event.type === 'finish' && event.claim === hold.claim ? finished(hold, event, now) : undefined;
    default:
      return event.type === 'report' ? { ...hold, reportedAt: hold.reportedAt ?? now } : undefined;
  }
}

function afterWhileOpen(hold: OpenHold, event: HoldEvent, now: EpochMs): Hold | undefined {
  switch (event.type) {
    case 'vote':
      return hasRunOut(hold, now) ? undefined : afterVote(hold, event.vote, event.suspended, now);
    case 'escalate':
      return hold.state === 'PENDING' ? escalated(hold, now) : undefined;
    case 'expire':
      if (!hasRunOut(hold, now)) return undefined;
      return hold.state === 'PENDING'
        ? { ...hold, state: 'EXPIRED', expiryReason: 'undecided', endedAt: now }
        : { ...hold, state: 'EXPIRED', expiryReason: 'unused', endedAt: now };
    case 'cancel':
      return { ...hold, state: 'CANCELLED', endedAt: now };
    case 'revoke':
      return { ...hold, state: 'REVOKED', endedBecause: event.because, endedAt: now };
    case 'invalidate':
      return { ...hold, state: 'INVALIDATED', endedBecause: event.because, endedAt: now };
    case 'claim':
      return hold.state === 'APPROVED' && !hasRunOut(hold, now) ? claimed(hold, event) : undefined;
    default:
      return undefined;
  }
}

function afterVote(hold: OpenHold, vote: Vote, suspended: ReadonlySet<string>, now: EpochMs): Hold | undefined {
  const votes = [...hold.votes, vote];
  if (vote.decision === 'deny') return { ...hold, state: 'DENIED', votes, endedAt: now };
  if (hold.state === 'APPROVED') return undefined;
  if (!isSatisfied(requirementsOf(hold, now), approversOf(votes, suspended))) return { ...hold, votes };
  const useWithinMs = Math.min(...hold.requirements.map((requirement) => requirement.useWithinMs));
  return { ...hold, votes, state: 'APPROVED', approvedAt: now, useBy: now + useWithinMs };
}

/** The hold after its escalation was told; its next escalation is set. */
function escalated(hold: PendingHold, now: EpochMs): PendingHold {
  const { escalateAt: _, ...rest } = hold;
  return {
    ...rest,
    escalations: (hold.escalations ?? 0) + 1,
    ...nextEscalation(hold.requirements, hold.createdAt, now),
  };
}

function claimed(hold: ApprovedHold, { claim, claimedBy }: HoldEvent & { readonly type: 'claim' }): Hold {
  return { ...hold, state: 'RELEASING', claim, claimedBy };
}

function finished(hold: SentHold, { known, status }: HoldEvent & { readonly type: 'finish' }, now: EpochMs): EndedHold {
  if (known && status !== undefined && status < 400)
    return { ...hold, state: 'EXECUTED', outcomeStatus: status, endedAt: now };
  const state = known ? 'UPSTREAM_ERROR' : 'OUTCOME_UNKNOWN';
  return { ...hold, state, ...defined({ outcomeStatus: status }), endedAt: now };
}
