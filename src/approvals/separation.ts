// Separation of duties: a reviewer may not decide on a call that they make, that is made on their behalf, or that an
// agent of theirs makes. Who is the same person is decided in domain/person.ts: in doubt a reviewer is refused.

import type { HeldPrincipal } from '../domain/hold.ts';
import { nameKey } from '../domain/name.ts';
import { isOneOf, type Named, samePerson } from '../domain/person.ts';

/** Why this person may not vote on calls of this principal; undefined when they may. */
export function conflictOf(principal: HeldPrincipal, reviewer: Named): 'caller' | 'on_behalf_of' | 'owner' | undefined {
  if (samePerson(principal, reviewer)) return 'caller';
  if (principal.onBehalfOf.some((party) => samePerson(party, reviewer))) return 'on_behalf_of';
  // An owner may be written as reviewers are: `user:<subject>`.
  const owners = principal.owners.flatMap((owner) => [nameKey(owner), nameKey(owner.replace(/^user:/, ''))]);
  return isOneOf(reviewer, owners) ? 'owner' : undefined;
}
