// What conditions make of arguments, as JSON. They never throw; where they have a result, the library's evaluator has
// the same; and twice as much of the same costs at most twice as many steps, but for a constant.

import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import type { Json } from '../../../src/domain/json.ts';
import { parseStrictJson } from '../../../src/domain/strict-json.ts';
import { compileCondition } from '../../../src/policy/conditions.ts';
import { post, variablesOf } from '../../policy/inputs.ts';
import { jsonText, LARGEST } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

const EXPRESSIONS = [
  'args.a == "x"', 'args.a != "x"', 'args.a in ["x", "y"]', 'args.a > 5', 'args.a == args.b', 'has(args.a) && args.a', 'has(args.a.b)', '!has(args.a) || args.a == 1',
  'args.l.all(i, i > 0)', 'args.l.exists(i, i == "x")', 'args.l.exists_one(i, i == 1)', 'args.l.map(i, i).size() > 1', 'args.l.filter(i, i == 1).size() == 1',
  'args.l.all(i, has(i.a) && i.a == args.a)', 'args.l[0] == 1', 'args.a.size() > 3', 'args.a.contains("x")', 'args.a.startsWith("x") || args.a.endsWith("y")',
  'args.a.matches("^[a-z]+$")', 'args.a.lowerAscii() == "x"', 'args.a.split(",").size() > 1', 'args.a + "x" == "xx"', 'args.l + [1] == [1]', 'args.a ? true : args.b == 1',
  'type(args.a) == string', 'args.a == null', 'args.all(k, k in ["a", "b", "l"])', '"x" in args.l', 'int(args.a) > 1', 'double(args.a) > 1.0', 'args == {"a": 1}',
]; // biome-ignore format: a list to look through
const conditions = EXPRESSIONS.map((expression) => ({ expression, condition: compileCondition(expression) }));
const library = new Environment().registerVariable('args', 'dyn');

function theirs(expression: string, args: Json): unknown {
  try {
    return library.evaluate(expression, { args });
  } catch {
    return 'failed';
  }
}

/** `a` and `l` twice over. */
function doubled(args: Json): Json {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) return args;
  const twice = (value: Json): Json =>
    Array.isArray(value) ? [...value, ...value] : typeof value === 'string' ? value + value : value;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, twice(value as Json)]));
}

const value = fc.oneof(
  fc.constantFrom('"x"', '"X"', '1', '1.5', 'true', 'null', '[]', '{}', '["x"]', '{"b":1}', '"5"', '"x,y"', '[[1]]'),
  jsonText,
);
const many = fc
  .tuple(value, fc.constantFrom(1, 2, 3, 2_000))
  .map(([each, times]) => `[${Array(times).fill(each).join(',')}]`);
const args = fc
  .tuple(value, value, fc.oneof(value, many))
  .map(([a, b, l]) => `{"a":${a},"b":${b},"l":${l}}`)
  .filter(({ length }) => length <= LARGEST);

export const cel: Target = {
  name: 'cel',
  drives: 'conditions over the arguments of a call',
  inputs: fc.oneof({ weight: 6, arbitrary: args }, { weight: 1, arbitrary: jsonText }),
  // All the conditions of one call share one budget.
  read(text) {
    const variables = variablesOf(post(parseStrictJson(new TextEncoder().encode(text)) as never));
    for (const { condition } of conditions) condition.evaluate(variables);
  },
  check(text) {
    const given = accepted(() => parseStrictJson(new TextEncoder().encode(text)));
    // The library takes a member of this name for JavaScript's own.
    if (given === undefined || text.includes('constructor')) return;
    for (const { expression, condition } of conditions) {
      const variables = variablesOf(post(given as never));
      const ours = condition.evaluate(variables);
      if (ours !== 'failed')
        demand(ours === theirs(expression, given), `${expression} has another result in the library.`);
      const more = variablesOf(post(doubled(given) as never));
      condition.evaluate(more);
      // A text that is read is read more than once; deep equality reads both sides.
      const allowed = 8 * (variables.budget.used + text.length) + 1_000;
      demand(
        more.budget.spent || more.budget.used <= allowed,
        `${expression} takes ${more.budget.used} steps over twice as much, after ${variables.budget.used}.`,
      );
    }
  },
};
