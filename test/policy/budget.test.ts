// The kind: what an agent sends makes a condition cost more than its length. Costs are counted in steps, so nothing
// here depends on time.

import { describe, expect, test } from 'vitest';
import { BUDGET, Budget, OVER_BUDGET } from '../../src/policy/cel/budget.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { policyOf, post, variablesOf } from './inputs.ts';

function run(expression: string, args: Readonly<Record<string, unknown>>) {
  const variables = variablesOf(post(args as never));
  const verdict = compileCondition(expression).evaluate(variables);
  return { verdict, spent: variables.budget.spent };
}

const list = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const text = (count: number, of = 'a') => of.repeat(count);
const numbers = list(40_000, (index) => index);
const texts = list(20_000, (index) => `item ${index}`);
const map = Object.fromEntries(list(20_000, (index) => [`k${index}`, 1]));

describe('a condition that would take quadratic time or worse', () => {
  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['args.items.exists(x, args.items.filter(y, y == x).size() > 1)', { items: numbers }],
    // Of the same kind.
    ['args.items.all(x, args.items.exists_one(y, y == x))', { items: texts }],
    ['args.items.all(x, x in args.items)', { items: texts }],
    ['args.items.map(x, args.items.map(y, x + y)).size() > 0', { items: numbers }],
    ['args.items.all(x, (args.items + args.items).size() > 0)', { items: numbers }],
    ['args.map.all(k, args.map.exists(l, l == k && args.map[l] == 1))', { map }],
    ['args.map.all(k, args.map.size() > 1)', { map }],
    ['args.items.all(x, args.items == args.copy)', { items: numbers, copy: [...numbers] }],
    ['args.text.contains(args.part)', { text: text(500_000), part: `b${text(250_000)}` }],
    ['args.text.indexOf(args.part) > 5', { text: text(500_000), part: `b${text(250_000)}` }],
    ['args.text.split(args.part).size() > 5', { text: text(500_000), part: `b${text(250_000)}` }],
    ['args.items.all(x, !args.text.contains(x))', { items: texts, text: text(50_000) }],
    ['args.items.all(x, args.text.size() > 5)', { items: numbers, text: text(50_000) }],
    ['args.items.all(x, !args.text.matches("a+b"))', { items: numbers, text: text(50_000) }],
    ['args.text.matches("(a|b)*a(a|b){12}c")', { text: text(500_000, 'ab') }],
    ['args.items.all(x, args.items.join(",") != "")', { items: texts }],
    ['args.items.all(x, args.text.lowerAscii() != "b")', { items: numbers, text: text(50_000) }],
    ['args.items.all(x, args.text + x != "")', { items: texts, text: text(50_000) }],
    ['args.items.all(x, bytes(args.text).size() > 0)', { items: numbers, text: text(50_000) }],
    ['args.items.all(x, bytes(args.text).json().a == 5)', { items: numbers, text: `{"a":5,"b":"${text(50_000)}"}` }],
    ['args.items.all(x, int(x) > 0)', { items: texts }],
    ['args.items.all(x, now.getHours(x) > 50 || true)', { items: texts }],
  ])('%s ends as failed', (expression, args) => {
    expect(run(expression, args)).toEqual({ verdict: 'failed', spent: true });
  });

  test('also where `||` or `&&` knows the answer: what was not finished has no result', () => {
    const expensive = 'args.items.exists(x, args.items.exists(y, y < x && y > x))';
    for (const expression of [
      `${expensive} || true`,
      `!(${expensive} && false)`,
      `[1, 2].exists(n, ${expensive} || n == 2)`,
      `${expensive} ? true : true`,
    ])
      expect(run(expression, { items: numbers })).toEqual({ verdict: 'failed', spent: true });
  });

  test('also by doubling a value again and again', () => {
    let [listed, spelled] = ['args.items', 'args.text'];
    for (let i = 0; i < 20; i++)
      [listed, spelled] = [`cel.bind(v${i}, ${listed}, v${i} + v${i})`, `cel.bind(v${i}, ${spelled}, v${i} + v${i})`];
    expect(run(`${listed}.size() > 0`, { items: [1, 2, 3] })).toEqual({ verdict: 'failed', spent: true });
    expect(run(`${spelled}.size() > 0`, { text: text(100) })).toEqual({ verdict: 'failed', spent: true });
  });
});

test('what is long to convert is refused at once: the spelling of a number or a time is short', () => {
  for (const expression of [
    'int(args.s) > 0',
    'uint(args.s) > 0u',
    'double(args.s) > 0.0',
    'duration(args.s) > duration("1s")',
    'timestamp(args.s) < now',
    'bool(args.s)',
  ])
    expect(run(expression, { s: text(900_000, '9') })).toEqual({ verdict: 'failed', spent: false });
  expect(run('duration(args.s) > duration("1s")', { s: text(400_000, '1s') })).toEqual({
    verdict: 'failed',
    spent: false,
  });
});

test('an honest call stays far below the budget', () => {
  const items = list(10_000, (index) => ({ amount: (index % 100) + 1, currency: 'EUR' }));
  expect(run('args.items.all(i, i.amount > 0 && i.amount <= 100 && i.currency in ["EUR", "USD"])', { items })).toEqual({
    verdict: true,
    spent: false,
  });
  expect(
    run('!args.text.contains("password") && args.text.matches("^[a-z ]+$")', { text: text(100_000, 'hello ') }),
  ).toEqual({ verdict: true, spent: false });
});

test('the count is the same every time, and ends exactly at the budget', () => {
  const budget = new Budget(10);
  budget.charge(10);
  expect(budget.spent).toBe(false);
  expect(() => budget.charge(1)).toThrow();
  expect(budget.spent).toBe(true);
  try {
    budget.charge(0);
    expect.unreachable();
  } catch (thrown) {
    expect(thrown).toBe(OVER_BUDGET);
  }
  // Five steps an element and a few around them: the last list that fits, and the first that does not.
  const fits = (count: number) => run('args.items.all(i, i > -1)', { items: list(count, () => 1) });
  const most = Math.floor((BUDGET - 2) / 5);
  expect([fits(most).verdict, fits(most + 1)]).toEqual([true, { verdict: 'failed', spent: true }]);
});

describe('a call whose conditions spend the budget', () => {
  const expensive = 'args.items.exists(x, args.items.filter(y, y == x).size() > 1)';
  const rules: readonly RuleOptions[] = [
    { id: 'cheap', match: {}, when: 'args.items.size() > 0', decide: 'allow' },
    { id: 'pure', match: {}, decide: 'allow' },
    { id: 'twice', match: {}, when: expensive, decide: 'hold', tier: 'one' },
    { id: 'no', match: {}, when: 'args.items.size() == 0', decide: 'deny' },
  ];
  const decide = (order: readonly RuleOptions[]) => compilePolicy(policyOf(order)).decide(post({ items: numbers }));

  test('meets every hold and deny rule that has a condition, and no such allow rule, in whatever order they stand', () => {
    for (const order of [rules, [...rules].reverse()]) {
      const { effect, rules: matched } = decide(order);
      expect(effect).toBe('deny');
      expect(Object.fromEntries(matched.map(({ id, why }) => [id, why]))).toEqual({
        pure: 'matched',
        twice: 'over_budget',
        no: 'over_budget',
      });
    }
    expect(decide(rules.slice(0, 3))).toMatchObject({ effect: 'hold', reasons: ['rule:twice', 'over_budget'] });
    expect(decide([{ id: 'only', match: {}, when: expensive, decide: 'allow' }])).toMatchObject({
      effect: 'deny',
      reasons: ['no_matching_rule', 'over_budget'],
    });
  });

  test('is one call: many conditions that are cheap by themselves share the budget', () => {
    const many = list(
      40,
      (index): RuleOptions => ({ id: `r${index}`, match: {}, when: 'args.items.all(i, i > -1)', decide: 'allow' }),
    );
    expect(compilePolicy(policyOf(many.slice(0, 4))).decide(post({ items: numbers })).effect).toBe('allow');
    expect(compilePolicy(policyOf(many)).decide(post({ items: numbers })).effect).toBe('deny');
  });
});

describe('what check says', () => {
  const warned = (when: string) =>
    checkPolicy(policyOf([{ id: 'r', match: {}, when, decide: 'deny' }])).filter(
      ({ message }) => !message.includes('instead of `task.calls`'),
    );

  test.each([
    ['args.items.exists(x, args.items.filter(y, y == x).size() > 1)', 'args.items.filter(y, y == x)'],
    ['args.items.all(x, x in args.allowed)', 'x in args.allowed'],
    ['request.body.a.all(x, request.body.b.exists(y, y == x))', 'request.body.b.exists(y, y == x)'],
    ['args.text.contains(args.part)', 'args.text.contains(args.part)'],
    ['cel.bind(all, args.items, all.all(x, all.exists(y, y == x)))', 'all.exists(y, y == x)'],
    ['args.items.all(x, (args.items + args.items).size() > 1)', '(args.items + args.items).size()'],
    ['args.items.all(x, args.text.matches("^a"))', 'args.text.matches("^a")'],
  ])('%s: may take quadratic time', (when, part) => {
    expect(warned(when)).toEqual([
      { path: ['rules', 0, 'when'], severity: 'warning', message: expect.stringContaining(`\`${part}`) },
    ]);
  });

  test.each([
    'args.items.all(x, x.tags.exists(t, t == "a"))',
    'args.items.all(x, x.name in ["a", "b"])',
    'args.items.all(x, x.name == args.name)',
    'args.items.all(x, "reader" in agent.claims.roles)',
    'args.items.map(x, x.name).exists(n, n == "a")',
    '["a", "b"].all(x, args.items.exists(i, i == x))',
    'args.text.contains("password") && args.items.size() < 5',
    'task.calls.filter(c, c.status == 200).size() > 5',
  ])('%s: nothing', (when) => {
    expect(warned(when)).toEqual([]);
  });

  test('that a rule which reads task.calls can be outrun, and no other', () => {
    const says = (when: string) => checkPolicy(policyOf([{ id: 'r', match: {}, when, decide: 'deny' }]));
    expect(says('task.calls.size() > 5')).toEqual([
      { path: ['rules', 0, 'when'], severity: 'warning', message: expect.stringContaining('the latest 200 calls') },
    ]);
    expect(says('task.depth > 2 && task.root != task.id')).toEqual([]);
  });
});
