// The kind: a value of the agent's that is of another type than the rule's author thought of. Comparing it with
// anything fails, in every rule and however the comparison is written, so that hold and deny rules match and allow
// rules do not.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../src/domain/decision.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { call, policyOf, post, toolCall, variablesOf } from './inputs.ts';

const run = (expression: string, input: DecisionInput) => compileCondition(expression).evaluate(variablesOf(input));
const withArgs = (expression: string, args: Readonly<Record<string, unknown>>) => run(expression, post(args as never));

describe('a truth value', () => {
  // The last four are the kind beyond "true", 1 and [true].
  test.each(['true', 1, [true], null, {}, 'TRUE', 0, [[true]]])(
    'that comes as %j is neither true nor false',
    (force) => {
      for (const expression of [
        'args.force == true',
        'args.force != true',
        'true == args.force',
        'args.force == false',
        'args.force',
        '!args.force',
      ])
        expect(withArgs(expression, { force })).toBe('failed');
    },
  );
});

describe('a text', () => {
  test.each([[['prod']], null, 5, true, {}, [[]], [{ env: 'prod' }]])(
    'that comes as %j is neither equal nor unequal to one',
    (env) => {
      for (const expression of [
        'args.env == "prod"',
        'args.env != "prod"',
        '"prod" != args.env',
        'args.env in ["prod", "stage"]',
        '!(args.env in ["prod", "stage"])',
        'args.env < "q"',
        'args.env >= "a"',
        '!args.env.startsWith("prod")',
        '!args.env.contains("prod")',
        '!args.env.matches("^prod")',
        'args.env.lowerAscii() != "prod"',
        '!(args.env + "" == "prod")',
        '(args.env == "prod" ? 1 : 2) == 2',
        '!["prod", "stage"].exists(e, e == args.env)',
        '["prod"].all(e, e != args.env)',
        '["prod"].filter(e, e == args.env).size() == 0',
        '{"env": args.env} != {"env": "prod"}',
        '[args.env] != ["prod"]',
        'cel.bind(e, args.env, e != "prod")',
        '{"prod": true}[args.env] != true',
        '!(args.env in {"prod": true})',
      ])
        expect([expression, withArgs(expression, { env })]).toEqual([expression, 'failed']);
    },
  );

  test('is compared letter by letter: another spelling is another value, so allow-lists are written and not deny-lists', () => {
    expect(withArgs('args.env == "prod"', { env: 'PROD' })).toBe(false);
    expect(withArgs('!(args.env in ["dev", "test"])', { env: 'PROD' })).toBe(true);
    expect(withArgs('args.env.lowerAscii() == "prod"', { env: 'PROD' })).toBe(true);
  });
});

describe('a number', () => {
  test.each(['5', null, [5], true, {}, '5.0', ' 5 '])('that comes as %j is in no relation to one', (amount) => {
    for (const expression of [
      'args.amount == 5',
      'args.amount != 5',
      'args.amount > 1',
      'args.amount <= 100',
      'args.amount in [5, 6]',
      '!(args.amount in [5, 6])',
      'args.amount * 2.0 != 10.0',
      '-args.amount != -5.0',
      '[1, 2].all(n, n != args.amount)',
    ])
      expect([expression, withArgs(expression, { amount })]).toEqual([expression, 'failed']);
  });

  test('is one type, whatever the spelling', () => {
    for (const expression of [
      'args.n == 1',
      'args.n == 1.0',
      '1 == args.n',
      'args.n in [1, 2]',
      'args.n in [1.0]',
      'args.n != 2',
      'args.n == uint(1)',
      'args.n >= 1',
    ])
      expect([expression, withArgs(expression, { n: 1 })]).toEqual([expression, true]);
    expect(withArgs('args.a == args.b', { a: 1, b: 1.0 })).toBe(true);
    // Exact beyond what a double holds.
    expect(withArgs('args.n == 9007199254740993', { n: 2 ** 53 })).toBe(false);
  });
});

// The kind: a text that is converted to a number and then is none, or one that nobody wrote.
test('a text that spells no number is in no relation to one, however it is converted', () => {
  for (const [convert, texts] of [
    ['int', ['', ' ', '1 000', '0x10', '1e3', '9 ']],
    ['uint', ['', '-1', '\t']],
    ['double', ['', 'NaN', '  ', 'five', '0x10']],
  ] as const)
    for (const x of texts)
      for (const relation of ['> 5.0', '<= 5.0', '== 5.0', '!= 5.0', '< 5.0', '>= 5.0'])
        expect([x, relation, withArgs(`dyn(${convert}(args.x)) ${relation}`, { x })]).toEqual([x, relation, 'failed']);
  expect(withArgs('int(args.x) > 5 && double(args.y) > 5.0', { x: '9', y: '1e3' })).toBe(true);
});

describe('two values of the agent’s', () => {
  test.each([
    ['a', 1],
    ['1', 1],
    [null, 'a'],
    [['a'], 'a'],
    [{ a: 1 }, [1]],
    [true, 'true'],
    [
      [1, 'a'],
      [1, 2],
    ],
    [{ a: 'x' }, { a: null }],
    [{ a: { b: [1] } }, { a: { b: ['1'] } }],
  ])('%j and %j are neither equal nor unequal', (a, b) => {
    expect(withArgs('args.a == args.b', { a, b })).toBe('failed');
    expect(withArgs('args.a != args.b', { a, b })).toBe('failed');
    expect(withArgs('args.a in [args.b]', { a, b })).toBe('failed');
  });

  test.each([
    [[1, 2], [1, 2], true],
    [[1, 2], [1], false],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 1 }, { b: 1 }, false],
    [null, null, true],
    [[], [], true],
    [{}, {}, true],
  ])('%j and %j of one type are compared', (a, b, result) => {
    expect(withArgs('args.a == args.b', { a, b })).toBe(result);
    expect(withArgs('args.a != args.b', { a, b })).toBe(!result);
  });
});

describe('a list', () => {
  test('holds what it holds; of another type beside it, nothing can be said', () => {
    expect(withArgs('"x" in args.l', { l: ['x', 1, null] })).toBe(true);
    expect(withArgs('"x" in args.l', { l: ['y'] })).toBe(false);
    for (const l of [['y', 1], [null], [['x']], [true], [{}], 'x', 5, null]) {
      expect(withArgs('"x" in args.l', { l })).toBe('failed');
      expect(withArgs('!("x" in args.l)', { l })).toBe('failed');
    }
    for (const key of [['x'], null, 1]) expect(withArgs('args.k in args.m', { k: key, m: { x: 1 } })).toBe('failed');
  });
});

describe('a map', () => {
  test('is not unequal to one with another spelling of its keys', () => {
    for (const target of [{ Env: 'prod' }, { ENV: 'dev' }, { env_: 'prod' }, { 'e-nv': 'prod' }]) {
      expect(withArgs('args.target != {"env": "prod"}', { target })).toBe('failed');
      expect(withArgs('args.target in [{"env": "prod"}]', { target })).toBe('failed');
      expect(withArgs('[{"t": args.target}] != [{"t": {"env": "prod"}}]', { target })).toBe('failed');
    }
    expect(withArgs('args.target != {"env": "prod"}', { target: { env: 'dev' } })).toBe(true);
    expect(withArgs('args.target != {"env": "prod"}', { target: { other: 'prod' } })).toBe(true);
  });

  test('that stands for a list is neither with nor without an element', () => {
    for (const tags of [{ 0: 'prod' }, { a: 'prod' }, { a: ['prod'] }, { x: 1, y: ['dev', 'prod'] }]) {
      expect(withArgs('"prod" in args.tags', { tags })).toBe('failed');
      expect(withArgs('!("prod" in args.tags)', { tags })).toBe('failed');
    }
    expect(withArgs('"prod" in args.tags', { tags: { prod: 1 } })).toBe(true);
    expect(withArgs('"prod" in args.tags', { tags: { dev: 1, other: ['dev'], more: { a: 'prod' } } })).toBe(false);
  });
});

describe('what is absent, or null', () => {
  test('is told by has(), type(), or a test against null, and by nothing else', () => {
    for (const expression of ['!has(args.x) || args.x == "a"', 'has(args.x) ? args.x == "a" : true']) {
      expect([
        withArgs(expression, {}),
        withArgs(expression, { x: 'a' }),
        withArgs(expression, { x: 'b' }),
        withArgs(expression, { x: null }),
      ]).toEqual([true, true, false, 'failed']);
    }
    for (const expression of [
      'args.x == null || args.x == "a"',
      'type(args.x) == null_type || args.x == "a"',
      'null == args.x || args.x == "a"',
    ])
      expect([
        withArgs(expression, { x: null }),
        withArgs(expression, { x: 'a' }),
        withArgs(expression, { x: 'b' }),
        withArgs(expression, {}),
      ]).toEqual([true, true, false, 'failed']);
    expect(withArgs('args.x != null', { x: ['a'] })).toBe(true);
    expect(withArgs('type(args.x) == string && args.x != "prod"', { x: ['prod'] })).toBe(false);
  });

  test('has() asks about a member of a map: of anything else it cannot tell', () => {
    for (const o of ['force', ['force'], null, 5, true]) {
      expect(withArgs('has(args.o.force)', { o })).toBe('failed');
      expect(withArgs('!has(args.o.force)', { o })).toBe('failed');
      expect(withArgs('!has(args.o.force.now)', { o })).toBe('failed');
    }
    expect(withArgs('has(args.o.force)', { o: {} })).toBe(false);
    expect(run('has(args.force)', post(['force'] as never))).toBe('failed');
  });
});

test('what stands in a query or a header is text', () => {
  const input = call({ action: { query: 'n=5&flag=true&two=1&two=2' }, headers: ['x-level', '3'] });
  for (const [expression, result] of [
    ['request.query.n == "5"', true],
    ['dyn(request.query.n) == 5', 'failed'],
    ['dyn(request.query.flag) != true', 'failed'],
    ['dyn(request.headers["x-level"]) in [3]', 'failed'],
    ['request.query.two != "1"', 'failed'],
    ['dyn(request.query).two in ["1"]', 'failed'],
  ] as const)
    expect([expression, run(expression, input)]).toEqual([expression, result]);
});

test('for every value and every literal of another type: hold and deny match, allow does not', () => {
  const literals = ['"a"', '5', '1.5', 'true', '["a"]', '{"a": 1}'] as const;
  const typeOf = (value: unknown) => (Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value);
  const types: Readonly<Record<(typeof literals)[number], string>> = {
    '"a"': 'string',
    '5': 'number',
    '1.5': 'number',
    true: 'boolean',
    '["a"]': 'list',
    '{"a": 1}': 'object',
  };
  const value = fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.parse(JSON.stringify(json)) as unknown);
  fc.assert(
    fc.property(
      value,
      fc.constantFrom(...literals),
      fc.constantFrom('==', '!=', '<', '>='),
      fc.boolean(),
      (x, literal, operator, turned) => {
        // Texts and numbers are in an order; of the others, the type check refuses to compare more than `==` and `!=`.
        fc.pre(
          typeOf(x) !== types[literal] &&
            (operator.endsWith('=') || !/^[[{]/.test(literal)) &&
            !(operator === '>=' && /^[[{]/.test(literal)),
        );
        const when = turned ? `dyn(${literal}) ${operator} args.x` : `args.x ${operator} ${literal}`;
        for (const input of [post({ x } as never), toolCall('t', { x } as never)]) {
          const effects = (['allow', 'hold', 'deny'] as const).map((decide) => {
            const rules = [
              { id: 'all', match: {}, decide: 'allow' } as const,
              { id: 'r', match: {}, when, decide, ...(decide === 'hold' && { tier: 'one' }) },
            ];
            return compilePolicy(policyOf(decide === 'allow' ? rules.slice(1) : rules)).decide(input).effect;
          });
          expect(effects).toEqual(['deny', 'hold', 'deny']);
        }
      },
    ),
    { numRuns: 200 },
  );
});
