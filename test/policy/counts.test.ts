// What an agent is told of the counts and novelties on which a refusal rests: what the decisive rules read, and no more.
// Kind: an agent that is told of a limit that had no part in the decision.

import { expect, it } from 'vitest';
import { compilePolicy } from '../../src/policy/policy.ts';
import { NOTHING_CLASSIFIED, post } from './inputs.ts';

const rule = (id: string, when: string, more = {}) => ({
  ...{ id, match: { upstream: 'ledger' }, when, decide: 'deny' as const },
  ...more,
});
const meter = { match: {}, per: ['agent' as const], windowMs: 60_000 };

it.each([
  ['a count', rule('r', 'meter.paid > 10.0'), [{ fact: 'meter.paid', value: 12 }]],
  ['what is new', rule('r', 'novel.operation'), [{ fact: 'novel.operation', value: true }]],
  ['nothing, where the rule says so', rule('r', 'meter.paid > 10.0', { tellFacts: false }), undefined],
  ['nothing of a rule that did not match', rule('r', 'meter.paid > 100.0'), undefined],
])('tells %s', (_what, one, because) => {
  const policy = compilePolicy({
    ...NOTHING_CLASSIFIED,
    meters: { paid: meter, other: meter },
    rules: [one],
    tiers: {},
    upstreams: { ledger: { protocol: 'http' } },
  });
  const input = post({ amount: 1 });
  const facts = {
    ...input.facts,
    meters: { paid: 12, other: 1 },
    novel: { operation: true, destination: false, agent: false },
  };
  expect(policy.decide({ ...input, facts }).because).toEqual(because);
});
