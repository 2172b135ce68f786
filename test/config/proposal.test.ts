// "This keeps coming": the proposed rules do what they say when they replace the rule they name, and nothing is
// proposed where that would not hold.

import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { proposeRules } from '../../src/config/proposal.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { agent, call, NOTHING_CLASSIFIED } from '../policy/inputs.ts';

const rule: RuleOptions & { readonly id: string } = {
  id: 'pay',
  match: { upstream: 'ledger', methods: ['POST'] },
  when: 'request.path != "/x"',
  decide: 'hold',
  tier: 'payment',
};
const hold = {
  action: {},
  principal: { id: agent.id },
  rules: [{ id: 'pay', effect: 'hold', why: 'matched' }],
  notify: ['soc'],
} as unknown as Hold;
const similar = { approvedTimes: 5, deniedTimes: 0, since: 1_800_000_000_000 };
const propose = (more: { rules?: readonly RuleOptions[]; hold?: Hold; similar?: typeof similar } = {}) =>
  proposeRules(
    (more.rules ?? [rule]) as Parameters<typeof proposeRules>[0],
    more.hold ?? hold,
    more.similar ?? similar,
  );

const tiers = {
  payment: {
    reviewers: ['group:a'],
    count: 1,
    decideWithinMs: 1,
    useWithinMs: 1,
    stepUp: false,
    reasonRequired: false,
  },
};
const policyOf = (rules: readonly RuleOptions[]) =>
  compilePolicy({ ...NOTHING_CLASSIFIED, rules, tiers, upstreams: { ledger: { protocol: 'http' } } });

const effectFor = (rules: readonly RuleOptions[], id: string): string => {
  return policyOf(rules).decide(call({ principal: { ...agent, id }, action: { method: 'POST' } })).effect;
};

it('lets this agent pass and holds every other as before', () => {
  const rules = parse(propose() ?? '') as RuleOptions[];
  expect(rules.map(({ id, decide, notify }) => ({ id, decide, notify }))).toEqual([
    { id: 'pay', decide: 'hold', notify: undefined },
    { id: 'pay-passed', decide: 'allow', notify: ['soc'] },
  ]);
  expect(effectFor(rules, agent.id)).toBe('allow');
  expect(effectFor(rules, `${agent.id}2`)).toBe('hold');
});

it('lets WebSockets be opened where they are what people approved, and nothing else', () => {
  const upgrade = { protocol: 'websocket', subprotocols: [], extensions: [] } as const;
  const effects = (rules: readonly RuleOptions[]) => {
    const policy = policyOf(rules);
    return [{ method: 'GET' }, { method: 'GET', upgrade }].map((action) => policy.decide(call({ action })).effect);
  };
  const rules = [{ ...rule, match: { upstream: 'ledger' }, when: 'request.path != "/x"' }];
  expect(effects(parse(propose({ rules }) ?? ''))).toEqual(['allow', 'deny']);
  expect(effects(parse(propose({ rules, hold: { ...hold, action: { ...hold.action, upgrade } } }) ?? ''))).toEqual([
    'hold',
    'allow',
  ]);
});

it('cannot be made to say something else by the name of an agent', () => {
  const id = 'https://idp#"||true||"';
  const rules = parse(propose({ hold: { ...hold, principal: { ...hold.principal, id } } }) ?? '') as RuleOptions[];
  expect(effectFor(rules, agent.id)).toBe('hold');
  expect(effectFor(rules, id)).toBe('allow');
});

it.each([
  ['fewer approvals than five', { similar: { ...similar, approvedTimes: 4 } }],
  ['a denial', { similar: { ...similar, deniedTimes: 1 } }],
  [
    'an agent whose name cannot be shown plainly',
    { hold: { ...hold, principal: { ...hold.principal, id: 'a\u202Eb' } } },
  ],
  ['a rule that is gone', { rules: [] }],
  [
    'several rules that hold it',
    { hold: { ...hold, rules: [...hold.rules, { id: 'other', effect: 'hold', why: 'matched' }] } as Hold },
  ],
])('proposes nothing for %s', (_, more) => {
  expect(propose(more)).toBeUndefined();
});

it.each(['meter.paid > 5000', '"customer-data" in tainted', 'taintedBy.agent != []', 'novel.destination'])(
  'proposes nothing for a rule about what happened before: %s',
  (when) => expect(propose({ rules: [{ ...rule, when }] })).toBeUndefined(),
);
