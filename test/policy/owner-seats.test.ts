// Seats for the owners of what a call concerns. Kinds: an owner who answers for two resources and counts twice, a change
// of owners that an approval outlives, an edit that voids although nothing that was approved has changed.

import { describe, expect, it } from 'vitest';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions, TierOptions } from '../../src/policy/rules.ts';
import { classified } from '../support/classified.ts';
import { call, policyOf, tierOf } from './inputs.ts';

const { reviewers: _, count: __, ...terms } = tierOf() as TierOptions & { reviewers: unknown; count: unknown };
const escalate = { afterMs: 60_000, to: ['group:duty'] };
const tiers = {
  owner: tierOf(['owner']),
  both: {
    ...terms,
    require: [
      { from: ['owner'], count: 1, escalate },
      { from: ['group:security'], count: 2 },
    ],
  },
  plain: tierOf(),
} as const;
const held = (tier: string): RuleOptions => ({ id: 'r', match: { upstream: 'ledger' }, decide: 'hold', tier });
const decide = (tier: keyof typeof tiers, owners: readonly (readonly string[])[], more = {}) =>
  compilePolicy(policyOf([held(tier)], { tiers, ...more })).decide(
    call({ facts: { classification: classified({ owners }) } }),
  );
const seats = (...given: Parameters<typeof decide>) =>
  decide(...given).requirements.map(({ reviewers, count, owner }) => ({ reviewers, count, owner }));

describe('the owners of a resource', () => {
  it('are a seat for each list, and equal lists are one', () => {
    expect(seats('owner', [['group:crm'], ['user:cfo', 'group:x'], ['group:x', 'user:cfo'], ['group:crm']])).toEqual([
      { reviewers: ['group:crm'], count: 1, owner: true },
      { reviewers: ['group:x', 'user:cfo'], count: 1, owner: true },
    ]);
  });

  it('stand beside the other seats of the tier, each with its own terms', () => {
    const { requirements } = decide('both', [['group:crm'], ['user:cfo']]);
    expect(requirements.map(({ reviewers, count, escalate: later }) => [reviewers, count, later])).toEqual([
      [['group:crm'], 1, escalate],
      [['user:cfo'], 1, escalate],
      [['group:security'], 2, undefined],
    ]);
  });

  it('are nobody where no resource names one: the seat stays, and nobody fills it', () => {
    expect(seats('owner', [])).toEqual([{ reviewers: [], count: 1, owner: true }]);
  });
});

describe('the digest of the decision', () => {
  const digest = (...given: Parameters<typeof decide>) => decide(...given).decisionDigest;

  it('is another one with other owners, and the same in another order', () => {
    const before = digest('owner', [['group:a', 'user:b'], ['group:c']]);
    expect(digest('owner', [['group:c'], ['user:b', 'group:a']])).toBe(before);
    expect(digest('owner', [['group:a', 'user:b'], ['group:d']])).not.toBe(before);
    expect(digest('owner', [['group:a', 'user:b', 'group:c']])).not.toBe(before);
    expect(digest('owner', [])).not.toBe(before);
  });

  it('takes no notice of owners where the tier asks for none', () => {
    expect(digest('plain', [['group:a']])).toBe(digest('plain', []));
  });

  it('takes no notice of who keeps the rule', () => {
    const by = (maintainer: string) =>
      compilePolicy(policyOf([{ ...held('plain'), maintainer }], { tiers })).decide(call()).decisionDigest;
    expect(by('team a')).toBe(by('team b'));
  });
});
