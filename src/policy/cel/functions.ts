// The functions that conditions call. Functions over lists and maps, and the most frequent ones, are here. The others
// are the library's, called through its public interface with scalar operands only. Each function charges before it
// works.

import { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { parseStrictJson } from '../../domain/strict-json.ts';
import type { Budget } from './budget.ts';
import { CelType, FAILED, isScalar, keysOf, kindOf, type Value } from './values.ts';

/** Takes the receiver, where there is one, before the arguments. */
export type CelFunction = (operands: readonly Value[], budget: Budget) => Value;

const NAMES = ['string', 'bool', 'int', 'uint', 'double', 'map', 'list', 'bytes', 'null_type', 'type'] as const;
const TIMES = {
  timestamp: new CelType('google.protobuf.Timestamp'),
  duration: new CelType('google.protobuf.Duration'),
};
/** What the names of types stand for. */
export const TYPES: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...NAMES.map((name) => [name, new CelType(name)] as const),
  ['google', new Map([['protobuf', new Map([['Timestamp', TIMES.timestamp], ['Duration', TIMES.duration]])]])], // biome-ignore format: one path
]);

function typeOf([value]: readonly Value[]): Value {
  const kind = kindOf(value);
  if (kind === 'timestamp' || kind === 'duration') return TIMES[kind];
  return TYPES.get(kind === 'null' ? 'null_type' : kind) ?? FAILED;
}

/** A function of texts alone. */
const ofTexts =
  (run: (texts: readonly string[], budget: Budget) => Value): CelFunction =>
  (operands, budget) =>
    operands.every((operand) => typeof operand === 'string') ? run(operands as readonly string[], budget) : FAILED;

/** At worst, V8 compares the text at every place of a longer one. */
function chargeSearch([text = '', sought = '']: readonly string[], budget: Budget): void {
  if (text.length >= sought.length) budget.chargeText(text.length * Math.max(1, Math.ceil(sought.length / 4)));
}

function size([value]: readonly Value[], budget: Budget): Value {
  if (typeof value === 'string') {
    budget.chargeText(value.length * 4);
    let count = 0n;
    for (const _ of value) count++;
    return count;
  }
  if (Array.isArray(value) || value instanceof Uint8Array) return BigInt(value.length);
  if (value instanceof Map) return BigInt(value.size);
  return kindOf(value) === 'map' ? BigInt(keysOf(value as object, budget).length) : FAILED;
}

function join([list, separator = '']: readonly Value[], budget: Budget): Value {
  if (!Array.isArray(list) || typeof separator !== 'string') return FAILED;
  for (const item of list) {
    budget.charge(1);
    if (typeof item !== 'string') return FAILED;
    budget.chargeText(item.length + separator.length);
  }
  return list.join(separator);
}

function split([text = '', separator = '', ...rest]: readonly string[], budget: Budget): Value {
  if (rest.length > 0) return FAILED;
  chargeSearch([text, separator], budget);
  const parts = text.split(separator);
  budget.charge(parts.length);
  return parts;
}

/** Parses as strictly as the gateway parses a body: no rule may rest on a key that stands twice. */
function json([bytes]: readonly Value[], budget: Budget): Value {
  if (!(bytes instanceof Uint8Array)) return FAILED;
  budget.charge(bytes.length);
  try {
    return parseStrictJson(bytes);
  } catch {
    return FAILED;
  }
}

const OWN: Readonly<Record<string, CelFunction>> = {
  'dyn/1': ([value]) => value,
  'type/1': typeOf,
  'size/1': size,
  '.size/0': size,
  '.join/0': join,
  '.join/1': join,
  '.split/1': ofTexts(split),
  '.json/0': json,
  '.contains/1': ofTexts((texts, budget) => {
    chargeSearch(texts, budget);
    return (texts[0] as string).includes(texts[1] as string);
  }),
  '.startsWith/1': ofTexts(([text = '', start = ''], budget) => {
    budget.chargeText(start.length);
    return text.startsWith(start);
  }),
  '.endsWith/1': ofTexts(([text = '', end = ''], budget) => {
    budget.chargeText(end.length);
    return text.endsWith(end);
  }),
};

/**
 * How much one step of a regular expression's program and one character cost together; measured at their worst, in
 * test/bench/policy-cost.ts.
 */
const MATCHES_PER_STEP = 4;

/**
 * `matches()` with a pattern that is written in the rule. RE2 takes time linear in the text whatever the pattern; it
 * has no lookaround, no backreferences and no large repetitions. Throws TypeError for anything else.
 */
export function compileMatches(pattern: unknown): CelFunction {
  if (typeof pattern !== 'string')
    throw new TypeError(
      'Write the pattern of `matches()` out in the condition: a pattern that comes with the call is not taken.',
    );
  const expression = compileExpression(pattern);
  const weight = expression.programSize() / MATCHES_PER_STEP;
  return ofTexts(([text = ''], budget) => {
    budget.charge(1 + Math.ceil(text.length * weight));
    return expression.test(text);
  });
}

function compileExpression(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch {
    throw new TypeError(
      'Write the pattern of `matches()` as RE2 takes it: no lookaround, no backreferences, no large repetitions.',
    );
  }
}

const OPERANDS = ['a', 'b', 'c', 'd'] as const;
const library = OPERANDS.reduce((environment, name) => environment.registerVariable(name, 'dyn'), new Environment());
/** Steps of a call, of a calendar in a time zone, and of a failure, which costs an exception. */
const STEPS = { call: 20, calendar: 3_000, failure: 700 };
/** Every value of these types has a short spelling; the library takes quadratic time for a long one. */
const CONVERSIONS: ReadonlySet<string> = new Set(['bool', 'double', 'duration', 'int', 'timestamp', 'uint']);
const LONGEST_SPELLING = 64;
/** The library reads an empty text as 0 and `0x10` as 16; other readers find nothing, or 0. */
const NO_SPELLING = /^\s*$|^[+-]?0[xob]/i;

/** The function of a name, by how it is called. Throws TypeError where there is none. */
export function findFunction(name: string, isMethod: boolean, count: number): CelFunction {
  const key = `${isMethod ? '.' : ''}${name}/${count}`;
  return (Object.hasOwn(OWN, key) ? OWN[key] : undefined) ?? fromLibrary(name, isMethod, count);
}

function fromLibrary(name: string, isMethod: boolean, count: number): CelFunction {
  const names = OPERANDS.slice(0, count + (isMethod ? 1 : 0));
  const program = library.parse(isMethod ? `a.${name}(${names.slice(1).join(', ')})` : `${name}(${names.join(', ')})`);
  if (!program.check().valid) throw new TypeError(`Conditions have no function \`${name}\` with so many arguments.`);
  const isConversion = !isMethod && CONVERSIONS.has(name);
  const steps = isMethod && count === 1 && name.startsWith('get') ? STEPS.calendar : STEPS.call;
  return (operands, budget) => {
    // The library remembers the type of every list and map that it gets, so it gets none.
    if (!operands.every(isScalar)) return FAILED;
    budget.charge(steps);
    for (const operand of operands) if (operand instanceof Uint8Array) budget.charge(operand.length);
    const texts = operands.filter((operand) => typeof operand === 'string');
    if (isConversion && texts.some((text) => text.length > LONGEST_SPELLING || NO_SPELLING.test(text))) return FAILED;
    if (texts.length > 0) chargeSearch(texts, budget);
    try {
      return program(Object.fromEntries(operands.map((operand, index) => [OPERANDS[index], operand])));
    } catch {
      budget.charge(STEPS.failure);
      return FAILED;
    }
  };
}
