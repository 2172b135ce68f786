// Who may see a hold, and whether this reviewer may still vote on it. Pure functions over the stored hold and a verified reviewer.
// They steer what is shown; the vote itself is judged again, and for good, by approvals/ inside the store's transaction.

import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';

/** What a reviewer may do with a hold now; `why` is a sentence for people when voting is not open to them. */
export interface Standing {
  readonly vote: boolean;
  readonly revoke: boolean;
  readonly why?: string;
}

/** True when a requirement of the hold names this person or one of their groups. Nobody else learns that the hold exists. */
export function isNamed(hold: Hold, reviewer: Reviewer): boolean {
  return hold.requirements.some((requirement) => requirement.reviewers.some((entry) => names(entry, reviewer)));
}

function names(entry: string, reviewer: Reviewer): boolean {
  if (entry.startsWith('group:')) return reviewer.groups.includes(entry.slice('group:'.length));
  if (!entry.startsWith('user:')) return false;
  const user = entry.slice('user:'.length);
  return user === reviewer.subject || user === reviewer.id;
}

/** The agent itself, anyone it acts for, and the people accountable for it: DESIGN section 8, separation of duties. */
function isParty(hold: Hold, reviewer: Reviewer): boolean {
  const { principal } = hold;
  const parties = [principal, ...principal.onBehalfOf].map((party) => party.id);
  return parties.includes(reviewer.id) || principal.owners.includes(reviewer.id) || principal.owners.includes(reviewer.subject);
}

export function standing(hold: Hold, reviewer: Reviewer, now: EpochMs): Standing {
  const separated = isParty(hold, reviewer);
  const open = hold.state === 'PENDING' || hold.state === 'APPROVED';
  const why = reasonAgainst(hold, reviewer, now, separated);
  return why === undefined ? { vote: true, revoke: true } : { vote: false, revoke: open && !separated, why };
}

function reasonAgainst(hold: Hold, reviewer: Reviewer, now: EpochMs, separated: boolean): string | undefined {
  if (hold.state === 'APPROVED') return 'It has been approved and waits to be used; it can still be revoked.';
  if (hold.state !== 'PENDING') return `It is closed: ${hold.state}.`;
  if (now >= hold.deadline) return 'The time to decide is over.';
  if (separated) return 'The call is made by you, on your behalf, or by an agent that you own: someone else has to decide.';
  if (hold.votes.some((vote) => vote.reviewer.id === reviewer.id)) return 'You have voted.';
  return undefined;
}
