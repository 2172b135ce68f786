// Escalation: after a while a second group may vote as well. Who may vote is computed each time from the hold's age by
// the store's clock; the hold's `escalations` only say who has been told. Separation of duties applies to the second
// group as to the first.

import type { EpochMs } from '../domain/clock.ts';
import type { Requirement } from '../domain/decision.ts';
import type { Hold } from '../domain/hold.ts';

/** The requirements as they stand now: once a requirement has escalated, it names the second group too. */
export function inForce(requirements: readonly Requirement[], openedAt: EpochMs, now: EpochMs): readonly Requirement[] {
  return requirements.map((requirement) => {
    const { escalate, reviewers } = requirement;
    return escalate === undefined || now < openedAt + escalate.afterMs
      ? requirement
      : { ...requirement, reviewers: [...reviewers, ...escalate.to] };
  });
}

export const requirementsOf = (hold: Hold, now: EpochMs): readonly Requirement[] =>
  inForce(hold.requirements, hold.createdAt, now);

/** When the next requirement escalates after this time; absent when none does. */
export function nextEscalation(
  requirements: readonly Requirement[],
  openedAt: EpochMs,
  after: EpochMs,
): { readonly escalateAt?: EpochMs } {
  const times = requirements
    .flatMap(({ escalate }) => (escalate === undefined ? [] : [openedAt + escalate.afterMs]))
    .filter((at) => at > after);
  return times.length === 0 ? {} : { escalateAt: Math.min(...times) };
}
