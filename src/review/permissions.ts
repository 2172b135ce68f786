// Who may see a hold, and what this reviewer may still do with it. Uses the tests of approvals/, on the stored hold and
// a verified reviewer. The result decides only what is shown: the vote itself is judged again inside the store's
// transaction.

import type { EpochMs } from '../domain/clock.ts';
import type { Requirement } from '../domain/decision.ts';
import type { HeldPrincipal, Hold } from '../domain/hold.ts';
import { samePerson } from '../domain/person.ts';
import type { Reviewer } from '../domain/reviewer.ts';

/** The tests of approvals/. assembly/ hands them in, so that each test exists once. */
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
  /** True when the reviewer may approve or deny. */
  readonly vote: boolean;
  readonly approve: boolean;
  readonly deny: boolean;
  readonly revoke: boolean;
  /** When something is not allowed: why, as a sentence for people. */
  readonly why?: string;
}

/** True when a requirement of the hold names this person. Other people do not learn that the hold exists. */
export function isNamed({ isEligible, requirementsOf }: Eligibility, hold: Hold, reviewer: Reviewer): boolean {
  return requirementsOf(hold).some((requirement) => isEligible(requirement, reviewer));
}

export function permissionsOf({ conflictOf }: Eligibility, hold: Hold, reviewer: Reviewer, now: EpochMs): Permissions {
  const nothing = { vote: false, approve: false, deny: false, revoke: false };
  if (hold.state !== 'PENDING' && hold.state !== 'APPROVED') return { ...nothing, why: `It is closed: ${hold.state}.` };
  if (now >= (hold.state === 'PENDING' ? hold.deadline : hold.useBy))
    return { ...nothing, why: 'Its time has run out.' };
  if (conflictOf(hold.principal, reviewer) !== undefined) {
    return {
      ...nothing,
      why: 'The call is made by you, on your behalf, or by an agent that you own: someone else has to decide.',
    };
  }
  if (hold.votes.some((vote) => samePerson(vote.reviewer, reviewer)))
    return { ...nothing, revoke: true, why: 'You have voted; you can still revoke it.' };
  if (hold.state === 'APPROVED')
    return {
      vote: true,
      approve: false,
      deny: true,
      revoke: true,
      why: 'It is approved and not used yet. You can still deny or revoke it.',
    };
  return { vote: true, approve: true, deny: true, revoke: true };
}
