// Decides whether the votes that count meet every requirement. One person counts once over all requirements, so this
// assigns people to seats and solves the assignment exactly. Trusts that the votes were judged when they were cast.
// Refuses to count a suspended person.

import type { EpochMs } from '../domain/clock.ts';
import type { Approval, Requirement } from '../domain/decision.ts';
import type { ApprovedHold, Vote } from '../domain/hold.ts';
import { nameKey } from '../domain/name.ts';
import { groupByPerson, isOneOf, type Named } from '../domain/person.ts';
import type { Reviewer, Voter } from '../domain/reviewer.ts';
import { inForce } from './escalation.ts';

/**
 * True when an entry of the tier names this person: `group:<name>`, `user:<subject>` or `user:<issuer>#<subject>`,
 * exactly.
 */
export function isEligible(requirement: Requirement, reviewer: Voter): boolean {
  return isListed(requirement.reviewers, reviewer);
}

/** The same, for any list of people in the configuration. */
export function isListed(people: readonly string[], reviewer: Voter): boolean {
  return people.some(
    (entry) =>
      entry === `user:${reviewer.subject}` ||
      entry === `user:${reviewer.id}` ||
      (entry.startsWith('group:') && reviewer.groups.includes(entry.slice(6))),
  );
}

/**
 * True when different people can be assigned to every seat of every requirement. False without any requirement: an
 * approval that no rule asked for is a fault, not a permission.
 */
export function isSatisfied(requirements: readonly Requirement[], approvers: readonly Voter[]): boolean {
  if (requirements.length === 0) return false;
  const people = groupByPerson(approvers);
  const seats = requirements.flatMap((requirement) =>
    Array.from({ length: Math.max(1, requirement.count) }, () => requirement),
  );
  if (seats.length > people.length) return false;
  const seatOf = new Map<readonly Voter[], number>();
  return seats.every((_, seat) => seatPerson(seat, new Set()));

  // Kuhn's algorithm: take a free person, or move one who sits elsewhere to another seat.
  function seatPerson(seat: number, tried: Set<readonly Voter[]>): boolean {
    for (const person of people) {
      const fits = person.some((account) => isEligible(seats[seat] as Requirement, account));
      if (tried.has(person) || !fits) continue;
      tried.add(person);
      const taken = seatOf.get(person);
      if (taken === undefined || seatPerson(taken, tried)) {
        seatOf.set(person, seat);
        return true;
      }
    }
    return false;
  }
}

/** The people whose approval counts now. */
export function approversOf(votes: readonly Vote[], suspended: ReadonlySet<string>): Reviewer[] {
  return votes
    .filter((vote) => vote.decision === 'approve' && !isSuspended(vote.reviewer, suspended))
    .map((vote) => vote.reviewer);
}

export function isSuspended(reviewer: Named, suspended: ReadonlySet<string>): boolean {
  return suspended.size > 0 && isOneOf(reviewer, [...suspended].map(nameKey));
}

/** What policy is told of an approval. */
export function approvalOf(hold: ApprovedHold, now: EpochMs, suspended: ReadonlySet<string>): Approval {
  const approvers = approversOf(hold.votes, suspended);
  return {
    count: groupByPerson(approvers).length,
    reviewers: approvers.map((reviewer) => reviewer.id),
    ageMs: Math.max(0, now - hold.approvedAt),
    satisfies: (requirements) => isSatisfied(inForce(requirements, hold.createdAt, now), approvers),
  };
}
