// Whether a tier can be decided: enough people, and time for those who are asked later.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkTiers({ tiers }: Sections): Generator<Fault> {
  for (const [name, tier] of Object.entries(tiers)) {
    if (tier === undefined) continue;
    const { count, reviewers, escalate, decideWithinMs } = tier;
    if (escalate !== undefined && escalate.afterMs >= decideWithinMs) {
      yield {
        path: ['tiers', name, 'escalate', 'after'],
        message: 'Write less than `decideWithin`, so that the people who are asked later have time to decide.',
      };
    }
    const voters = [...reviewers, ...(escalate?.to ?? [])];
    if (voters.some((reviewer) => reviewer.startsWith('group:'))) continue;
    const people = new Set(voters).size;
    if (count > people)
      yield {
        path: ['tiers', name, 'count'],
        message:
          `Write ${people} or less, or name more reviewers: ${count} people must approve, but only ${people} ` +
          'may vote.',
      };
  }
}
