// An exemption: an allow rule that a person answers for, for a time, and that holds only for callers who carry no mark.
// Where marks are not known, the rule does not match.

import type { Condition } from './conditions.ts';
import type { RuleOptions } from './rules.ts';

/** The condition of an allow rule with `exempt`: its own, and `size(tainted) == 0 && now < until`. */
export function withExemption(
  condition: Condition | undefined,
  { until }: NonNullable<RuleOptions['exempt']>,
): Condition {
  const end = Date.parse(until);
  const base = condition ?? NO_CONDITION;
  return {
    ...base,
    factsRead: new Set([...base.factsRead, 'tainted']),
    names: new Set([...base.names, 'tainted', 'now']),
    evaluate(variables) {
      const { facts, now } = variables.input;
      if (facts?.tainted === undefined || now === undefined) return 'failed';
      return facts.tainted.length === 0 && now < end && base.evaluate(variables);
    },
  };
}

const NO_CONDITION: Condition = {
  readsBody: false,
  readsHints: false,
  wordsRead: [],
  readsDestinations: false,
  readsAction: false,
  factsRead: new Set(),
  metersRead: new Set(),
  literals: [],
  readsNoAgentMarks: false,
  names: new Set(),
  evaluate: () => true,
};
