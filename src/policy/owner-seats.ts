// Who sits in the seats that a tier keeps for owners: the owners of each resource that the call concerns, one seat for
// each of their lists. Trusts the classification. Where it names nobody the seat stays empty, and nobody can approve.

import type { Requirement } from '../domain/decision.ts';

/** `owners` has the list of each matching resource that names owners; equal lists are one seat. */
export function seatOwners(
  requirements: readonly Requirement[],
  owners: readonly (readonly string[])[],
): readonly Requirement[] {
  const lists = [...new Map(owners.map((list) => [...new Set(list)].sort()).map((list) => [list.join('\n'), list]))];
  return requirements.flatMap((requirement) =>
    requirement.owner === undefined || lists.length === 0
      ? [requirement]
      : lists.map(([, reviewers]) => ({ ...requirement, reviewers })),
  );
}
