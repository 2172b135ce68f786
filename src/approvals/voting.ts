// Decides whether this person may cast this ballot on this hold now. Pure, because it is asked twice: before the vote
// is recorded, and again inside the transaction that counts the vote. Trusts the reviewer's verified sign-in.

import type { Ballot } from '../domain/approvals.ts';
import { type Assurance, assuranceWords, strictestOf, unmetBy } from '../domain/assurance.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Requirement } from '../domain/decision.ts';
import type { Hold, Vote } from '../domain/hold.ts';
import { type NamedAgent, samePerson } from '../domain/person.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';
import { requirementsOf } from './escalation.ts';
import { isOpen } from './machine.ts';
import { isEligible, isSuspended } from './quorum.ts';
import { conflictOf } from './separation.ts';

/** Characters that a reason may have. */
export const LONGEST_REASON = 2_000;

/** What else decides who may vote, beside the tiers. Both are looked up at each vote and never remembered. */
export interface ReviewerStatus {
  /** Subjects, ids or person claims of reviewers whose votes do not count. */
  suspended(): ReadonlySet<string>;
  /** Subjects, ids or person claims of the people registered as accountable for an agent. */
  owners(agent: NamedAgent): readonly string[];
}

/**
 * The vote to be counted. Throws `separation_of_duties`, `not_a_reviewer`, `hold_closed`, `stale_digest`,
 * `already_voted`, `bad_vote`, `reason_required`, `step_up_required`, `assurance_required`.
 */
export function judgeBallot(
  hold: Hold,
  reviewer: Reviewer,
  ballot: Ballot,
  now: EpochMs,
  status: ReviewerStatus,
): Omit<Vote, 'span'> {
  const tiers = eligibleTiers(hold, reviewer, now, status);
  if (ballot.bindingDigest !== hold.bindingDigest)
    throw refusal(hold, 'stale_digest', 'The vote names another binding digest than the hold has.');
  const mayDecide = isOpen(hold, now);
  if (mayDecide && hasVoted(hold, reviewer))
    throw refusal(
      hold,
      'already_voted',
      'Your vote on this hold is counted; to take an approval back, revoke the hold.',
    );
  if (!mayDecide || (hold.state === 'APPROVED' && ballot.decision === 'approve')) {
    throw refusal(
      hold,
      'hold_closed',
      `The hold takes no ${ballot.decision}: it is ${mayDecide ? hold.state : closedState(hold)}.`,
    );
  }
  const reason = judgeReason(hold, tiers, ballot.reason);
  const asked = strictestOf(tiers);
  if (unmetBy(asked, reviewer, ballot.passkey !== undefined, now).length > 0) throw tooWeak(hold, tiers, asked);
  return {
    reviewer,
    decision: ballot.decision,
    ...(reason === undefined ? {} : { reason }),
    at: now,
    bindingDigest: hold.bindingDigest,
    ...(ballot.passkey === undefined ? {} : { passkey: ballot.passkey }),
  };
}

/**
 * The sentence that is stored when an eligible reviewer takes a hold back. Needs no fresh sign-in, and people who have
 * voted may do it too: taking back must be easy. Throws `separation_of_duties`, `not_a_reviewer`, `hold_closed`,
 * `bad_vote`, `reason_required`.
 */
export function judgeRevocation(
  hold: Hold,
  reviewer: Reviewer,
  reason: string | undefined,
  now: EpochMs,
  status: ReviewerStatus,
): string {
  const tiers = eligibleTiers(hold, reviewer, now, status);
  if (!isOpen(hold, now))
    throw refusal(hold, 'hold_closed', `The hold cannot be taken back: it is ${closedState(hold)}.`);
  const given = judgeReason(hold, tiers, reason);
  return `Reviewer ${reviewer.id} took it back${given === undefined ? '.' : `: ${given}`}`;
}

function eligibleTiers(hold: Hold, reviewer: Reviewer, now: EpochMs, status: ReviewerStatus): readonly Requirement[] {
  // Owners who were registered after the hold was opened count too, and people who were owners then stay excluded from
  // this hold.
  const owners = [...hold.principal.owners, ...status.owners(hold.principal)];
  if (conflictOf({ ...hold.principal, owners }, reviewer) !== undefined) {
    throw refusal(
      hold,
      'separation_of_duties',
      'The call is made by you, on your behalf, or by an agent that you own.',
    );
  }
  const tiers = requirementsOf(hold, now).filter((requirement) => isEligible(requirement, reviewer));
  if (tiers.length === 0 || isSuspended(reviewer, status.suspended())) {
    throw refusal(
      hold,
      'not_a_reviewer',
      'No requirement of the hold names you or one of your groups, or your votes are suspended.',
    );
  }
  return tiers;
}

function judgeReason(hold: Hold, tiers: readonly Requirement[], given: string | undefined): string | undefined {
  const reason = given?.trim();
  if (reason !== undefined && reason.length > LONGEST_REASON)
    throw refusal(hold, 'bad_vote', `A reason has at most ${LONGEST_REASON} characters.`);
  if (reason) return reason;
  if (tiers.some((tier) => tier.reasonRequired))
    throw refusal(hold, 'reason_required', 'A tier of this hold asks for a reason.');
  return undefined;
}

function hasVoted(hold: Hold, reviewer: Reviewer): boolean {
  return hold.votes.some((vote) => samePerson(vote.reviewer, reviewer));
}

/** With what RFC 9470 section 3 lets a client ask its issuer for. */
function tooWeak(hold: Hold, tiers: readonly Requirement[], asked: Assurance): GatewayError {
  const { passkey, acr = [], maxAgeMs } = asked;
  const code = tiers.some(({ assurance }) => assurance !== undefined) ? 'assurance_required' : 'step_up_required';
  return new GatewayError(code, `A vote on this hold takes ${assuranceWords(asked).join(', and ')}.`, {
    holdId: hold.id,
    members: {
      ...(passkey && { passkey }),
      ...(acr.length > 0 && { acr_values: acr.join(' ') }),
      ...(maxAgeMs !== undefined && { max_age: Math.floor(maxAgeMs / 1000) }),
    },
  });
}

/** The state as people are told: a hold whose clock has run out counts as EXPIRED already. */
function closedState(hold: Hold): string {
  return hold.state === 'PENDING' || hold.state === 'APPROVED' ? 'EXPIRED' : hold.state;
}

function refusal(hold: Hold, code: ErrorCode, detail: string): GatewayError {
  return new GatewayError(code, detail, { holdId: hold.id });
}
