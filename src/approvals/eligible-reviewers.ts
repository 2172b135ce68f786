// Whether anybody at all could approve a call. People who are named one by one can be checked: a call that all of them
// are excluded from is refused before it becomes a hold. Groups cannot be enumerated here: a requirement that names one
// is taken on trust.

import type { Requirement } from '../domain/decision.ts';
import type { HeldPrincipal } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';
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
  const tiers = checkable.map(({ tier }) => tier).join(', ');
  throw new GatewayError('no_eligible_reviewer', `Of the people whom ${tiers} names, too few may decide on this call.`);
}

const entriesOf = ({ reviewers, escalate }: Requirement): readonly string[] => [...reviewers, ...(escalate?.to ?? [])];

/**
 * `user:<subject>` and `user:<issuer>#<subject>` name the same person: one subject is one person, whatever the issuer.
 */
const subjectOf = (name: string): string => name.slice(name.lastIndexOf('#') + 1);

function peopleOf(requirements: readonly Requirement[]): Reviewer[] {
  const bySubject = new Map<string, Reviewer>();
  for (const name of requirements
    .flatMap(entriesOf)
    .filter((entry) => entry.startsWith('user:'))
    .map((entry) => entry.slice('user:'.length))) {
    const subject = subjectOf(name);
    if (name !== subject || !bySubject.has(subject))
      bySubject.set(subject, { id: name, issuer: '', subject, groups: [] });
  }
  return [...bySubject.values()];
}

/** A requirement with everybody who could ever vote, people by subject alone. */
function withSubjects(requirement: Requirement): Requirement {
  const reviewers = entriesOf(requirement).map((entry) =>
    entry.startsWith('user:') ? `user:${subjectOf(entry.slice('user:'.length))}` : entry,
  );
  return { ...requirement, reviewers };
}
