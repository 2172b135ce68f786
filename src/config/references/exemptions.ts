// Exemptions that cannot be, and those whose time is over.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkExemptions({ rules }: Sections): Generator<Fault> {
  for (const [index, rule] of rules.entries()) {
    if (rule?.exempt === undefined) continue;
    const path = ['rules', index, 'exempt'];
    if (rule.decide !== 'allow')
      yield { path, message: 'Remove `exempt`, or write `decide: allow`: only a rule that allows can exempt.' };
    else if (Date.parse(rule.exempt.until) <= Date.now())
      yield {
        path: [...path, 'until'],
        severity: 'warning',
        message: 'Remove the rule, or write a later `until`: the exemption has ended, and the rule allows nothing.',
      };
  }
}
