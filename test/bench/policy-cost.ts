// What a decision costs as policies grow, in CPU time and as ratios in one run: rules that cannot match should cost
// nothing. `node test/bench/policy-cost.ts`

import type { JsonObject } from '../../src/domain/json.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { call, policyOf, post, variablesOf } from '../policy/inputs.ts';

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
  '20 rules of this upstream, 1 matches': [
    ...copies(19, (index) => ({ ...mine, match: { ...mine.match, path: `/section-${index}/:id` } })),
    mine,
  ],
  '20 rules that all match': copies(20, () => mine),
  '1 rule and 2000 of other upstreams': [
    mine,
    ...copies(2000, () => ({ ...mine, match: { ...mine.match, upstream: 'other' } })),
  ],
  '1 rule and 2000 of other methods': [
    mine,
    ...copies(2000, () => ({ ...mine, match: { ...mine.match, methods: ['DELETE'] } })),
  ],
  '1 rule and 2000 of other paths': [
    mine,
    ...copies(2000, (index) => ({ ...mine, match: { ...mine.match, path: `/section-${index}/:id` } })),
  ],
};

const input = call({ action: { path: '/accounts/42', target: '/accounts/42' } });
const compiled = Object.entries(policies).map(([name, rules]) => ({
  name,
  policy: compilePolicy(policyOf(rules)),
  microseconds: [] as number[],
}));

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

// What conditions cost at their worst: how long a step takes (src/policy/cel/budget.ts).
const numbers = Array.from({ length: 100_000 }, (_, index) => index);
const worst: Readonly<Record<string, JsonObject>> = {
  'args.l.exists(x, args.l.filter(y, y == x).size() > 1)': { l: numbers },
  'args.l.all(x, int(x) > 0)': { l: numbers.map(() => 'zzz') },
  'args.l.all(x, now.getHours(x) >= 0)': { l: numbers.map(() => 'Europe/Berlin') },
  'args.l.map(x, {"a": x, "b": x}).size() > 0': { l: numbers },
  'args.m.exists(x, args.m.size() == 1)': { m: Object.fromEntries(numbers.map((index) => [`k${index}`, 1])) },
  'args.t.matches("(a|b)*a(a|b){12}[cd]e")': {
    t: `${numbers
      .slice(0, 80_000)
      .map((index) => 'ab'[(index * 7919) % 2])
      .join('')}e`,
  },
};

function worstNanoseconds(expression: string, args: JsonObject): number {
  const condition = compileCondition(expression);
  const each = Array.from({ length: ROUNDS }, () => {
    const variables = variablesOf(post(args));
    const start = process.cpuUsage();
    condition.evaluate(variables);
    const { user, system } = process.cpuUsage(start);
    return ((user + system) * 1_000) / variables.budget.used;
  });
  return Math.max(...each);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const base = median(compiled[0]?.microseconds ?? []);
for (const { name, microseconds } of compiled) {
  const own = median(microseconds);
  console.log(`${name.padEnd(40)} ${(own / base).toFixed(2).padStart(8)} × ${own.toFixed(2).padStart(8)} µs`);
}
for (const [expression, args] of Object.entries(worst))
  console.log(`${expression.padEnd(60)} ${worstNanoseconds(expression, args).toFixed(0).padStart(6)} ns a step`);
