// Our evaluation of CEL against the library's: the same results wherever the library has one and compares no two types.
// What is stricter on purpose stands in comparisons.test.ts, what is bounded in budget.test.ts.

import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findFunction } from '../../src/policy/cel/functions.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { call, post, variablesOf } from './inputs.ts';

const library = new Environment({ unlistedVariablesAreDyn: false })
  .registerVariable('args', 'dyn')
  .registerVariable('now', 'google.protobuf.Timestamp');

function both(expression: string, args: Readonly<Record<string, unknown>>): readonly [unknown, unknown] {
  const input = post(args as never);
  const ours = compileCondition(expression).evaluate(variablesOf(input));
  try {
    const theirs: unknown = library.evaluate(expression, { args, now: new Date(input.now) });
    return [ours, typeof theirs === 'boolean' ? theirs : 'failed'];
  } catch {
    return [ours, 'failed'];
  }
}

const args = {
  s: 'Hello, wörld 🙂',
  n: 12.5,
  i: 42,
  zero: 0,
  t: true,
  l: [1, 2, 3],
  texts: ['a', 'b', 'c'],
  o: { a: 1, b: { c: [1, { d: 'x' }] } },
  list: [{ n: 1 }, { n: 2 }],
};

test.each([
  // Texts.
  'args.s.size() == 14 && size(args.s) == 14',
  'args.s.contains("wör") && args.s.startsWith("Hello") && args.s.endsWith("🙂")',
  'args.s.lowerAscii() == "hello, wörld 🙂" && args.s.upperAscii().startsWith("HELLO")',
  'args.s.indexOf("l") == 2 && args.s.indexOf("l", 3) == 3 && args.s.lastIndexOf("l") == 10 && args.s.lastIndexOf("l", 9) == 3',
  'args.s.substring(7) == "wörld 🙂" && args.s.substring(0, 5) == "Hello"',
  'args.s.split(", ") == ["Hello", "wörld 🙂"] && args.s.split(",", 1).size() == 1',
  'args.texts.join() == "abc" && args.texts.join("-") == "a-b-c"',
  '" x ".trim() == "x" && args.s + "!" != args.s',
  'args.s.matches("^Hello") && !args.s.matches("^[a-z]+$")',
  '"a" < "b" && args.s >= "Hello"',
  // Numbers and conversions.
  'args.n * 2.0 == 25.0 && args.n > 12 && args.i == 42 && args.i in [1, 42]',
  '7 / 2 == 3 && 7 % 4 == 3 && -7 / 2 == -3 && 2 - 3 == -1 && -(2) == -2',
  '9223372036854775807 + 1 > 0',
  '1 / 0 == 1 || 5 % 0 == 1',
  '1.0 / args.zero > 5.0',
  'int("42") == 42 && int(args.n) == 12 && double("1.5") == 1.5 && string(42) == "42" && string(1.5) == "1.5" && uint(3) == 3u',
  '5u + 2u == 7u && 5u - 2u == 3u && 2u * 3u == 6u && 7u / 2u == 3u && 7u % 2u == 1u && 1u < 2 && 2.5 > 2u',
  '2u - 3u == 1u',
  'int("x") == 1',
  'bool("true") && !bool("f")',
  'bytes("abc").hex() == "616263" && bytes("abc").base64() == "YWJj" && string(bytes("é")) == "é" && bytes("abc").at(1) == 98 && bytes("ab").size() == 2',
  'b"ab" + b"c" == bytes("abc") && bytes("{\\"a\\":1}").json().a == 1',
  // Types.
  'type(args.s) == string && type(args.n) == double && type(1) == int && type(1u) == uint && type(args.l) == list && type(args.o) == map',
  'type(null) == null_type && type(args.t) == bool && type(b"") == bytes && type(now) == google.protobuf.Timestamp && type(type(1)) == type',
  'type(duration("1s")) == google.protobuf.Duration && type(args.s) != int',
  // Times.
  'now - duration("1h") < now && now + duration("90m") > now && duration("1h") + duration("30m") == duration("90m")',
  'now > timestamp("2020-01-01T00:00:00Z") && now - timestamp(0) > duration("1h")',
  'now.getFullYear() == 2027 && now.getMonth() == 0 && now.getHours("Europe/Berlin") >= 0 && now.getDayOfWeek() < 7 && duration("90m").getMinutes() == 90',
  'timestamp("nonsense") < now',
  // Lists, maps and macros.
  'args.l == [1, 2, 3] && args.l[0] == 1 && args.l.size() == 3 && [1] + [2] == [1, 2] && args.l[1 + 1] == 3',
  'args.l[3] == 1',
  'args.o.b.c[1].d == "x" && args.o["a"] == 1 && "a" in args.o && !("z" in args.o) && args.o.size() == 2',
  '{"a": 1, "b": 2}["b"] == 2 && {"a": 1} == {"a": 1} && {1: "x"}[1] == "x"',
  'args.list[0] == {"n": 1}',
  'args.l.all(x, x > 0) && args.l.exists(x, x == 2) && args.l.exists_one(x, x == 2) && !args.l.exists_one(x, x > 1)',
  'args.l.map(x, x * 2.0) == [2.0, 4.0, 6.0] && args.l.map(x, x > 1, x * 2.0).size() == 2 && args.l.filter(x, x > 1) == [2, 3]',
  'args.o.all(k, k in ["a", "b"]) && args.o.map(k, k).size() == 2',
  'args.list.exists(x, args.list.exists(y, y.n > x.n)) && args.list.all(x, args.list.map(x, x.n).size() == 2 && x.n > 0)',
  'cel.bind(x, args.i, cel.bind(y, x, x == y)) && cel.bind(x, 1, cel.bind(x, x + 1, x == 2))',
  'args.list.map(x, [1, 2].map(x, x).size() + 0).size() == 2',
  // Failures, and what `&&` and `||` make of them.
  'args.nope == 1 || args.t',
  'args.t && args.nope == 1',
  '!(args.nope == 1) || !args.t',
  'args.t ? args.i == 42 : args.nope',
  'args.s ? true : false',
  'has(args.s) && !has(args.nope) && has(args.o.b.c) && !has(args.o.z)',
  'has(args.nope.x)',
  'args.l.all(x, x.y == 1)',
  'args.l.exists(x, x == 1 || x.y == 1)',
  'args.s.all(x, true)',
  '-args.n < 0 && !(args.t && false)',
  'dyn(args.i) == 42',
])('%s gives what the library gives', (expression) => {
  const [ours, theirs] = both(expression, args);
  expect(ours).toBe(theirs);
});

test('every function of the library is there', () => {
  const macros = new Set(['has', 'all', 'exists', 'exists_one', 'map', 'filter', 'bind']);
  const { functions } = new Environment().getDefinitions();
  expect(functions.length).toBeGreaterThan(80);
  for (const { name, receiverType, params } of functions) {
    // `matches` needs its pattern when it is compiled; optional values are switched off.
    if (macros.has(name) || name === 'matches' || receiverType?.startsWith('optional')) continue;
    expect(() => findFunction(name, receiverType !== null, params.length)).not.toThrow();
  }
});

describe('for random expressions', () => {
  const number = fc.constantFrom(
    'args.n',
    'args.i',
    'args.zero',
    'args.l[0]',
    '1.0',
    '2.5',
    '(args.n + 1.5)',
    '(args.i * 2.0)',
    'double(args.l.size())',
  );
  const text = fc.constantFrom(
    'args.s',
    '"Hello"',
    'args.texts[1]',
    '(args.s + "x")',
    'args.s.substring(0, 5)',
    'args.nope',
    'string(args.i)',
  );
  const compared = fc.oneof(
    fc.tuple(number, fc.constantFrom('<', '<=', '>', '>=', '==', '!='), number).map((parts) => parts.join(' ')),
    fc.tuple(text, fc.constantFrom('<', '==', '!=', '>='), text).map((parts) => parts.join(' ')),
    fc.constantFrom(
      'args.t',
      'true',
      'false',
      'has(args.nope)',
      'has(args.o.a)',
      'args.nope',
      'args.l.exists(x, x > 2)',
    ),
  );
  const { condition } = fc.letrec<{ condition: string }>((tie) => ({
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      compared,
      fc
        .tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('condition').map((inner) => `!(${inner})`),
      fc.tuple(tie('condition'), tie('condition'), tie('condition')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc
        .tuple(
          fc.constantFrom('args.l', 'args.list', 'args.o'),
          fc.constantFrom('all', 'exists', 'exists_one'),
          tie('condition'),
        )
        .map(([list, macro, inner]) => `${list}.${macro}(v, ${inner})`),
    ),
  }));

  test('the results are the same', () => {
    fc.assert(
      fc.property(condition, (expression) => {
        const [ours, theirs] = both(expression, args);
        expect(ours).toBe(theirs);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('a name that a call’s header brings twice is of no type', () => {
  const twice = call({ headers: ['x-a', '1', 'x-a', '1'] });
  const run = (expression: string) => compileCondition(expression).evaluate(variablesOf(twice));
  for (const expression of [
    'request.headers["x-a"] == "1"',
    'request.headers["x-a"] != "1"',
    'has(request.headers.x) || request.headers["x-a"].size() > 0',
  ])
    expect(run(expression)).toBe('failed');
});
