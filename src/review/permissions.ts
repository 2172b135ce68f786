// Who may see a hold, and whether this reviewer may still vote on it: over the stored hold and a verified reviewer, by
// the tests that approvals/ itself applies. This steers what is shown; the vote is judged again, and for good, inside
// the store's transaction.

import type { EpochMs } from '../domain/clock.ts';
import type { Requirement } from '../domain/decision.ts';
import type { HeldPrincipal, Hold } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';

/** The tests of approvals/, handed in by gateway.ts so that there is one spelling of each. */
export interface Eligibility {
  /** True when the requirement names this person or one of their groups. */
  isEligible(requirement: Requirement, reviewer: Reviewer): boolean;
  /** The hold's requirements as they stand now: after an escalation they name the second group too. */
  requirementsOf(hold: Hold): readonly Requirement[];
  /** Separation of duties: why this person may not vote on calls of this principal. */
  conflictOf(principal: HeldPrincipal, reviewer: Reviewer): string | undefined;
}

/** What a reviewer may do with a hold now. */
export interface Permissions {
  /** True when either verdict is open to them. */
  readonly vote: boolean;
  readonly approve: boolean;
  readonly deny: boolean;
  readonly revoke: boolean;
  /** A sentence for people, when not everything is open. */
  readonly why?: string;
}

/** True when a requirement of the hold names this person. Nobody else learns that the hold exists. */
export function isNamed({ isEligible, requirementsOf }: Eligibility, hold: Hold, reviewer: Reviewer): boolean {
  return requirementsOf(hold).some((requirement) => isEligible(requirement, reviewer));
}

export function permissionsOf({ conflictOf }: Eligibility, hold: Hold, reviewer: Reviewer, now: EpochMs): Permissions {
  const nothing = { vote: false, approve: false, deny: false, revoke: false };
  if (hold.state !== 'PENDING' && hold.state !== 'APPROVED') return { ...nothing, why: `It is closed: ${hold.state}.` };
  if (now >= (hold.state === 'PENDING' ? hold.deadline : hold.useBy)) return { ...nothing, why: 'Its time is over.' };
  if (conflictOf(hold.principal, reviewer) !== undefined) {
    return {
      ...nothing,
      why: 'The call is made by you, on your behalf, or by an agent that you own: someone else has to decide.',
    };
  }
  if (hold.votes.some((vote) => vote.reviewer.subject === reviewer.subject))
    return { ...nothing, revoke: true, why: 'You have voted; you can still revoke it.' };
  if (hold.state === 'APPROVED')
    return {
      vote: true,
      approve: false,
      deny: true,
      revoke: true,
      why: 'It is approved and waits to be used; it can still be denied or revoked.',
    };
  return { vote: true, approve: true, deny: true, revoke: true };
}
