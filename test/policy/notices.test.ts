// What of the reviewers' console an approval is bound to: escalation is, who is told is not.

import { expect, it } from 'vitest';
import type { Decision } from '../../src/domain/decision.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions, TierOptions } from '../../src/policy/rules.ts';
import { NOTHING_CLASSIFIED, post } from './inputs.ts';

const tier: TierOptions = {
  reviewers: ['group:a'],
  count: 1,
  decideWithinMs: 900_000,
  useWithinMs: 1_000,
  stepUp: false,
  reasonRequired: false,
};
const rule: RuleOptions = { id: 'pay', match: { upstream: 'ledger' }, decide: 'hold', tier: 't' };

function decide(more: Partial<TierOptions> = {}, rules: readonly RuleOptions[] = [rule]): Decision {
  return compilePolicy({
    ...NOTHING_CLASSIFIED,
    rules,
    tiers: { t: { ...tier, ...more } },
    upstreams: { ledger: { protocol: 'http' } },
  }).decide(post({}));
}

it('binds an approval to the escalation, whatever the order of its people', () => {
  const escalate = { afterMs: 60_000, to: ['group:b', 'group:c'] };
  const { decisionDigest } = decide({ escalate });
  expect(decide({ escalate: { ...escalate, to: ['group:c', 'group:b'] } }).decisionDigest).toBe(decisionDigest);
  for (const other of [
    { ...escalate, afterMs: 60_001 },
    { ...escalate, to: ['group:b'] },
  ])
    expect(decide({ escalate: other }).decisionDigest).not.toBe(decisionDigest);
  expect(decide().decisionDigest).not.toBe(decisionDigest);
  expect(decide({ escalate }).requirements).toMatchObject([{ escalate }]);
});

it('tells the channels of the rules that decide and of their tiers, and binds nothing to them', () => {
  const told = decide({ notify: ['soc', 'team'] }, [
    { ...rule, notify: ['desk', 'soc'] },
    { id: 'look', match: {}, decide: 'allow', notify: ['other'] },
  ]);
  expect(told.notify).toEqual(['desk', 'soc', 'team']);
  expect(decide({ notify: ['soc'] }).decisionDigest).toBe(decide().decisionDigest);
  expect(decide().notify).toBeUndefined();
});

it('names the channels of an allow rule that lets a call pass', () => {
  expect(decide({}, [{ id: 'look', match: {}, decide: 'allow', notify: ['soc'] }])).toMatchObject({
    effect: 'allow',
    notify: ['soc'],
  });
});
