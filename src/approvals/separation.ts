// Separation of duties: a reviewer may not decide on a call that they make, that is made on their behalf, or that an
// agent of theirs makes. Issuers name people differently, so subjects are compared whatever their issuer is: in doubt a
// reviewer is refused.

import type { HeldPrincipal } from '../domain/hold.ts';
import { nameKey } from '../domain/name.ts';
import type { Voter } from '../domain/reviewer.ts';

/** Why this person may not vote on calls of this principal; undefined when they may. */
export function conflictOf(
  principal: HeldPrincipal,
  reviewer: Pick<Voter, 'id' | 'subject'>,
): 'caller' | 'on_behalf_of' | 'owner' | undefined {
  const self = new Set([nameKey(reviewer.subject), nameKey(reviewer.id)]);
  const isSelf = (...names: string[]) => names.some((name) => self.has(nameKey(name)));
  if (isSelf(principal.id, principal.subject)) return 'caller';
  if (principal.onBehalfOf.some((party) => isSelf(party.id, party.subject))) return 'on_behalf_of';
  // An owner may be written as reviewers are: `user:<subject>`.
  if (principal.owners.some((owner) => isSelf(owner, owner.replace(/^user:/, '')))) return 'owner';
  return undefined;
}
