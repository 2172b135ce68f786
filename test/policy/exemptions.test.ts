// Exemptions: an allow rule that ends by itself and holds for unmarked callers only. Kind of fault: an exemption that
// outlives its end, or that counts where nobody knows whether the caller is marked.

import { expect, it } from 'vitest';
import type { Mark } from '../../src/domain/taint.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { classified } from '../support/classified.ts';
import { call, policyOf } from './inputs.ts';

const END = Date.UTC(2027, 0, 31);
const exempt = { because: 'Nightly export, reviewed by hand', maintainer: 'dana', until: '2027-01-31' };
const policy = compilePolicy(
  policyOf([
    {
      id: 'export',
      match: { upstream: 'ledger', methods: ['GET'] },
      decide: 'allow',
      when: 'agent.issuer != ""',
      exempt,
    },
  ]),
);
const mark: Mark = {
  ...{ scope: 'agent', key: 'a', taint: 'customer-data', since: 1, until: END * 2 },
  cause: { call: 'c', at: 1, resources: ['customers'], agent: 'a', chain: [] },
};
const effectOf = (tainted: readonly Mark[] | undefined, now: number) =>
  policy.decide(call({ now, facts: { classification: classified(), ...(tainted && { tainted }) } })).effect;

it('allows before its end, for a caller without a mark', () => {
  expect(effectOf([], END - 1)).toBe('allow');
});

it.each([
  ['from its end on', [] as Mark[], END],
  ['for a caller with a mark', [mark], END - 1],
  ['where marks are not known', undefined, END - 1],
])('allows nothing %s', (_, tainted, now) => {
  expect(effectOf(tainted, now)).toBe('deny');
});

it('has marks looked up for the calls that it could match, and for no others', () => {
  expect([...policy.factsRead('ledger', 'GET', '/x')]).toEqual(['tainted']);
  expect([...policy.factsRead('ledger', 'POST', '/x')]).toEqual([]);
});

it('is part of the decision: another end is another decision', () => {
  const later = compilePolicy(
    policyOf([
      { id: 'export', match: { upstream: 'ledger' }, decide: 'allow', exempt: { ...exempt, until: '2027-02-28' } },
    ]),
  );
  const facts = { classification: classified(), tainted: [] };
  const input = call({ now: END - 1, facts });
  expect(later.decide(input).decisionDigest).not.toBe(policy.decide(input).decisionDigest);
});
