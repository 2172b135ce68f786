// Whether a tier can be decided: enough people, and time for those who are asked later.

import { asksOwner, needsOf } from '../../domain/tier.ts';
import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkTiers({ tiers }: Sections): Generator<Fault> {
  for (const [name, tier] of Object.entries(tiers)) {
    if (tier === undefined) continue;
    for (const need of needsOf(tier)) {
      const { count, from, escalate } = need;
      const at = (...path: string[]) => ['tiers', name, ...need.at, ...path];
      if (escalate !== undefined && escalate.afterMs >= tier.decideWithinMs) {
        yield {
          path: at('escalate', 'after'),
          message: 'Write less than `decideWithin`, so that the people who are asked later have time to decide.',
        };
      }
      if (asksOwner(need)) {
        if (escalate === undefined) yield { path: at(), severity: 'warning', message: OWNERS_ALONE };
        continue;
      }
      const voters = [...from, ...(escalate?.to ?? [])];
      if (voters.some((reviewer) => reviewer.startsWith('group:'))) continue;
      const people = new Set(voters).size;
      if (count > people)
        yield {
          path: at('count'),
          message:
            `Write ${people} or less, or name more reviewers: ${count} people must approve, but only ${people} ` +
            'may vote.',
        };
    }
  }
}

const OWNERS_ALONE =
  'Set `escalate`: where the owners may not decide, or no matching resource names an owner, nobody else can, and the ' +
  'call is refused.';
