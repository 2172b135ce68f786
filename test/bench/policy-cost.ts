// What a decision costs as policies grow, in CPU time and as ratios in one run: rules that cannot match should cost nothing.
// `node test/bench/policy-cost.ts`

import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { call, policyOf } from '../policy/inputs.ts';

const ROUNDS = 7;
const CALLS = 50_000;

const mine: RuleOptions = {
  id: 'mine',
  match: { upstream: 'ledger', methods: ['GET'], path: '/accounts/:id' },
  when: 'agent.claims.team == "billing"',
  decide: 'allow',
};
const copies = (count: number, make: (index: number) => RuleOptions): RuleOptions[] =>
  Array.from({ length: count }, (_, index) => ({ ...make(index), id: `r${index}` }));

const policies: Readonly<Record<string, readonly RuleOptions[]>> = {
  '1 rule': [mine],
  '1 rule, no condition': [{ id: 'mine', match: mine.match, decide: 'allow' }],
  '20 rules of this upstream, 1 matches': [...copies(19, (index) => ({ ...mine, match: { ...mine.match, path: `/section-${index}/:id` } })), mine],
  '20 rules that all match': copies(20, () => mine),
  '1 rule and 2000 of other upstreams': [mine, ...copies(2000, () => ({ ...mine, match: { ...mine.match, upstream: 'other' } }))],
  '1 rule and 2000 of other methods': [mine, ...copies(2000, () => ({ ...mine, match: { ...mine.match, methods: ['DELETE'] } }))],
  '1 rule and 2000 of other paths': [mine, ...copies(2000, (index) => ({ ...mine, match: { ...mine.match, path: `/section-${index}/:id` } }))],
};

const input = call({ action: { path: '/accounts/42', target: '/accounts/42' } });
const compiled = Object.entries(policies).map(([name, rules]) => ({ name, policy: compilePolicy(policyOf(rules)), microseconds: [] as number[] }));

for (let round = 0; round < ROUNDS; round++) {
  for (const { name, policy, microseconds } of compiled) {
    const calls = name.includes('other paths') ? CALLS / 50 : CALLS;
    const start = process.cpuUsage();
    for (let i = 0; i < calls; i++) {
      policy.bodyNeed('ledger', 'GET', '/accounts/42');
      if (policy.decide(input).effect !== 'allow') throw new Error('the benchmark decides wrongly');
    }
    const { user, system } = process.cpuUsage(start);
    microseconds.push((user + system) / calls);
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const base = median(compiled[0]?.microseconds ?? []);
for (const { name, microseconds } of compiled) {
  const own = median(microseconds);
  console.log(`${name.padEnd(40)} ${(own / base).toFixed(2).padStart(8)} × ${own.toFixed(2).padStart(8)} µs`);
}
