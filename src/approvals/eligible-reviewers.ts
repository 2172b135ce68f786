// Checks whether anybody could approve a call. People who are named one by one can be checked: if none of them may
// vote, the call is refused before it becomes a hold. The members of a group are not known here, so a requirement that
// names a group always passes.

import type { Requirement } from '../domain/decision.ts';
import type { HeldPrincipal } from '../domain/hold.ts';
import type { Voter } from '../domain/reviewer.ts';
import { tiersOf } from '../domain/tier.ts';
import { GatewayError } from '../errors.ts';
import { isSatisfied, isSuspended } from './quorum.ts';
import { conflictOf } from './separation.ts';

/** Throws `no_eligible_reviewer` when the people who are named cannot fill every seat, even after escalation. */
export function refuseWithoutReviewer(
  requirements: readonly Requirement[],
  principal: HeldPrincipal,
  suspended: ReadonlySet<string>,
): void {
  const checkable = requirements
    .map(withSubjects)
    .filter(({ reviewers }) => !reviewers.some((entry) => entry.startsWith('group:')));
  if (checkable.length === 0) return;
  const people = peopleOf(requirements).filter(
    (person) => conflictOf(principal, person) === undefined && !isSuspended(person, suspended),
  );
  if (isSatisfied(checkable, people)) return;
  const unowned = checkable.find(({ owner, reviewers }) => owner && reviewers.length === 0);
  const detail =
    unowned === undefined
      ? `Too few of the people whom ${tiersOf(checkable).join(', ')} names may decide on this call.`
      : `The tier ${unowned.tier} asks the owners of what this call concerns, and nothing there names an owner.`;
  throw new GatewayError('no_eligible_reviewer', detail);
}

const entriesOf = ({ reviewers, escalate }: Requirement): readonly string[] => [...reviewers, ...(escalate?.to ?? [])];

/**
 * `user:<subject>` and `user:<issuer>#<subject>` name the same person: one subject is one person, whatever the issuer.
 */
const subjectOf = (name: string): string => name.slice(name.lastIndexOf('#') + 1);

function peopleOf(requirements: readonly Requirement[]): Voter[] {
  const bySubject = new Map<string, Voter>();
  for (const name of requirements
    .flatMap(entriesOf)
    .filter((entry) => entry.startsWith('user:'))
    .map((entry) => entry.slice('user:'.length))) {
    const subject = subjectOf(name);
    if (name !== subject || !bySubject.has(subject)) bySubject.set(subject, { id: name, subject, groups: [] });
  }
  return [...bySubject.values()];
}

/** The requirement with everybody who could ever vote, the second group included; people are named by subject alone. */
function withSubjects(requirement: Requirement): Requirement {
  const reviewers = entriesOf(requirement).map((entry) =>
    entry.startsWith('user:') ? `user:${subjectOf(entry.slice('user:'.length))}` : entry,
  );
  return { ...requirement, reviewers };
}
