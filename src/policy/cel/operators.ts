// The operators between two values. Operands of types that do not belong together give FAILED; nothing is converted.

import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { EvaluationTerms } from './budget.ts';
import {
  equal,
  FAILED,
  holdsAsValue,
  includes,
  kindOf,
  lookUp,
  member,
  numeric,
  temporal,
  type Value,
} from './values.ts';

type Binary = (a: Value, b: Value, terms: EvaluationTerms) => Value;

/**
 * `againstNull`: one side is the literal `null`, so the comparison asks only whether the other side is null. Throws
 * TypeError for an unknown operator.
 */
export function binary(operator: string, againstNull: boolean): Binary {
  switch (operator) {
    case '==':
      return againstNull ? isNull : same;
    case '!=': {
      const compare = againstNull ? isNull : same;
      return (a, b, terms) => negate(compare(a, b, terms), true);
    }
    case 'in':
      return contained;
    case '<':
      return ordered((order) => order < 0);
    case '<=':
      return ordered((order) => order <= 0);
    case '>':
      return ordered((order) => order > 0);
    case '>=':
      return ordered((order) => order >= 0);
    case '+':
      return add;
    case '-':
      return subtract;
    case '*':
      return (a, b) => calculate(a, b, (x, y) => x * y, (x, y) => x * y); // biome-ignore format: one operator
    case '/':
      return (a, b) => calculate(a, b, (x, y) => x / y, (x, y) => (y === 0n ? undefined : x / y)); // biome-ignore format: one operator
    case '%':
      return (a, b) => calculate(a, b, undefined, (x, y) => (y === 0n ? undefined : x % y));
    default:
      throw new TypeError(`Conditions have no operator \`${operator}\`.`);
  }
}

/** `!` for truth values, `-` for numbers. */
export function negate(value: Value, isNot: boolean): Value {
  if (isNot) return typeof value === 'boolean' ? !value : FAILED;
  return typeof value === 'number' ? -value : typeof value === 'bigint' ? int(-value) : FAILED;
}

const same: Binary = equal;

const isNull: Binary = (a, b) =>
  a === FAILED || b === FAILED || kindOf(a) === 'none' || kindOf(b) === 'none' ? FAILED : a === b;

const contained: Binary = (a, b, terms) => {
  if (Array.isArray(b)) return a === FAILED ? FAILED : includes(b, a, terms);
  if (kindOf(b) !== 'map') return FAILED;
  const [key] = b instanceof Map ? b.keys() : [''];
  const sameType =
    key === undefined || kindOf(key) === kindOf(a) || (numeric(key) !== undefined && numeric(a) !== undefined);
  if (a === FAILED || !sameType) return FAILED;
  if (typeof a !== 'string') return member(b, a) !== FAILED;
  const found = lookUp(b, a, terms);
  if (found === FAILED || (found === undefined && holdsAsValue(b as object, a, terms))) return FAILED;
  return found !== undefined;
};

function ordered(holds: (order: number) => boolean): Binary {
  return (a, b, { budget }) => {
    if (typeof a === 'string' && typeof b === 'string') {
      budget.chargeText(Math.min(a.length, b.length));
      return holds(a < b ? -1 : a > b ? 1 : 0);
    }
    const [left, right] = [numeric(a), numeric(b)];
    if (left !== undefined && right !== undefined) return compareNumbers(left, right, holds);
    const kind = kindOf(a);
    if (kind !== kindOf(b)) return FAILED;
    if (kind === 'bool') return holds(Number(a) - Number(b));
    return kind === 'timestamp' || kind === 'duration'
      ? holds((temporal(a) as number) - (temporal(b) as number))
      : FAILED;
  };
}

/** NaN has no order, so `double("NaN") > 5.0` is neither true nor false. */
function compareNumbers(
  a: number | bigint,
  b: number | bigint,
  holds: (order: number) => boolean,
): boolean | typeof FAILED {
  if (a < b) return holds(-1);
  if (a > b) return holds(1);
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of the same value are the same number
  return a == b ? holds(0) : FAILED;
}

const MAX_INT = 2n ** 63n - 1n;
const int = (value: bigint): Value => (value <= MAX_INT && value >= -MAX_INT - 1n ? value : FAILED);

/** Two numbers of one type. CEL has no arithmetic between types: `args.amount * 2.0`. */
function calculate(
  a: Value,
  b: Value,
  doubles: ((a: number, b: number) => number) | undefined,
  integers: (a: bigint, b: bigint) => bigint | undefined,
): Value {
  if (typeof a === 'number' && typeof b === 'number') return doubles === undefined ? FAILED : doubles(a, b);
  if (typeof a === 'bigint' && typeof b === 'bigint') return int(integers(a, b) ?? MAX_INT + 1n);
  if (!(a instanceof UnsignedInt && b instanceof UnsignedInt)) return FAILED;
  const result = integers(numeric(a) as bigint, numeric(b) as bigint);
  return result === undefined || result < 0n || result > 2n ** 64n - 1n ? FAILED : new UnsignedInt(result);
}

const add: Binary = (a, b, { budget }) => {
  if (typeof a === 'string' && typeof b === 'string') {
    budget.chargeText(a.length + b.length);
    return a + b;
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    budget.charge(a.length + b.length);
    return [...a, ...b];
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    budget.chargeText(a.length + b.length);
    return Buffer.concat([a, b]);
  }
  if (a instanceof Duration)
    return b instanceof Duration ? a.addDuration(b) : b instanceof Date ? a.extendTimestamp(b) : FAILED;
  if (a instanceof Date) return b instanceof Duration ? b.extendTimestamp(a) : FAILED;
  return calculate(a, b, (x, y) => x + y, (x, y) => x + y); // biome-ignore format: one operator
};

const subtract: Binary = (a, b) => {
  if (a instanceof Duration) return b instanceof Duration ? a.subtractDuration(b) : FAILED;
  if (a instanceof Date) {
    if (b instanceof Date) return Duration.fromMilliseconds(a.getTime() - b.getTime());
    return b instanceof Duration ? b.subtractTimestamp(a) : FAILED;
  }
  return calculate(a, b, (x, y) => x - y, (x, y) => x - y); // biome-ignore format: one operator
};
