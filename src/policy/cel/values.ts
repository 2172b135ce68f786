// The values of a condition, and their equality. A comparison between values of two types fails, so `args.env !=
// "prod"` is not true of `["prod"]`. All numbers are one type.

import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { foldsCheaply, looseKey } from '../../domain/normal-forms/keys.ts';
import { membersOf } from '../variables/variables.ts';
import type { Budget, EvaluationTerms } from './budget.ts';
import { Label } from './label.ts';

/**
 * The result of what cannot be evaluated. Every operator passes it on, except `&&` and `||`, whose other side may
 * decide.
 */
export const FAILED = Symbol('failed');
export type Failed = typeof FAILED;

/** JSON, Maps, bytes, times, the views of variables/, types, and FAILED: kindOf tells them apart. */
export type Value = unknown;

/** What `type()` gives; equal to itself alone. */
export class CelType {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const SCALARS = ['string', 'int', 'uint', 'double', 'bool', 'null', 'bytes', 'timestamp', 'duration', 'type'] as const;
/** `none` is FAILED, and any other value that no condition can use. */
export type ValueKind = (typeof SCALARS)[number] | 'label' | 'list' | 'map' | 'view' | 'none';

const scalars: ReadonlySet<ValueKind> = new Set(SCALARS);
export const isScalar = (value: Value): boolean => scalars.has(kindOf(value));

export function kindOf(value: Value): ValueKind {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'number':
      return 'double';
    case 'bigint':
      return 'int';
    case 'boolean':
      return 'bool';
    case 'object':
      return value === null ? 'null' : kindOfObject(value);
    default:
      return 'none';
  }
}

function kindOfObject(value: object): ValueKind {
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'map';
  switch (Object.getPrototypeOf(value)) {
    case Object.prototype:
    case null:
      return 'map';
    case Date.prototype:
      return 'timestamp';
    case Duration.prototype:
      return 'duration';
    case UnsignedInt.prototype:
      return 'uint';
    case CelType.prototype:
      return 'type';
    case Label.prototype:
      return 'label';
  }
  if (value instanceof Uint8Array) return 'bytes';
  return membersOf(value) === undefined ? 'none' : 'view';
}

/** A number that JavaScript compares by value with any other, or undefined. */
export function numeric(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof UnsignedInt ? (value.valueOf() as unknown as bigint) : undefined;
}

/** Milliseconds, or undefined. */
export function temporal(value: Value): number | undefined {
  return value instanceof Date || value instanceof Duration ? value.valueOf() : undefined;
}

/** The keys of a map. Charges for reading them. */
export function keysOf(map: object, budget: Budget): readonly Value[] {
  const keys = map instanceof Map ? [...map.keys()] : Object.keys(map);
  budget.charge(5 * keys.length);
  return keys;
}

/**
 * The member of a map or view, by own keys only: no name reaches a JavaScript prototype. FAILED where there is none.
 */
export function member(holder: Value, key: Value): Value {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return FAILED;
  const found = memberOf(holder, key);
  return found === undefined ? FAILED : found;
}

/**
 * As member, but undefined where there is none. FAILED for a value without members, and where only another spelling of
 * the name is there: Go, ASP.NET and others would read that spelling, and Google's APIs read `to_account` as
 * `toAccount`.
 */
export function lookUp(holder: Value, key: string, { budget, caseSensitive }: EvaluationTerms): Value {
  const kind = kindOf(holder);
  if (kind !== 'map' && kind !== 'view') return FAILED;
  const found = memberOf(holder as object, key);
  if (found !== undefined || caseSensitive || kind === 'view') return found;
  const form = looseKey(key);
  for (const other of keysOf(holder as object, budget)) {
    if (typeof other !== 'string') continue;
    budget.charge(3);
    if (foldsCheaply(other)) budget.chargeText(other.length);
    else budget.charge(other.length);
    if (looseKey(other) === form) return FAILED;
  }
  return undefined;
}

function memberOf(holder: object, key: Value): Value {
  // An integral double stands for the integer that a map literal has as its key.
  if (holder instanceof Map) return holder.get(typeof key === 'number' && Number.isInteger(key) ? BigInt(key) : key);
  if (typeof key !== 'string') return undefined;
  const prototype = Object.getPrototypeOf(holder);
  const own =
    prototype === Object.prototype || prototype === null
      ? Object.hasOwn(holder, key)
      : membersOf(holder)?.has(key) === true;
  return own ? (holder as Readonly<Record<string, unknown>>)[key] : undefined;
}

/** Charges for what it reads, which is at most the smaller of the two values. */
export function equal(a: Value, b: Value, terms: EvaluationTerms): boolean | Failed {
  const { budget } = terms;
  if (typeof a === 'string' && typeof b === 'string') {
    if (a.length === b.length) budget.chargeText(a.length);
    return a === b;
  }
  const [left, right] = [numeric(a), numeric(b)];
  if (left !== undefined && right !== undefined) {
    if (Number.isNaN(left) || Number.isNaN(right)) return FAILED;
    // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of the same value are the same number
    return left == right;
  }
  if (a instanceof Label) return equal(a.text, b instanceof Label ? b.text : b, terms);
  if (b instanceof Label) return equal(a, b.text, terms);
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return FAILED;
  switch (kind) {
    case 'bool':
    case 'null':
    case 'type':
      return a === b;
    case 'timestamp':
    case 'duration':
      return temporal(a) === temporal(b);
    case 'bytes':
      budget.chargeText((a as Uint8Array).length);
      return Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
    case 'list':
      return equalLists(a as readonly Value[], b as readonly Value[], terms);
    case 'map':
      return equalMaps(a as object, b as object, terms);
    default:
      return FAILED;
  }
}

function equalLists(a: readonly Value[], b: readonly Value[], terms: EvaluationTerms): boolean | Failed {
  if (a.length !== b.length) return false;
  let same = true;
  for (const [index, item] of a.entries()) {
    terms.budget.charge(1);
    const verdict = equal(item, b[index], terms);
    if (verdict === FAILED) return FAILED;
    same &&= verdict;
  }
  return same;
}

/** FAILED where the two maps have a member in two spellings: an upstream may read them as one. */
function equalMaps(a: object, b: object, terms: EvaluationTerms): boolean | Failed {
  const keys = keysOf(a, terms.budget);
  if (keys.length !== keysOf(b, terms.budget).length) return false;
  let same = true;
  for (const key of keys) {
    const right = typeof key === 'string' ? lookUp(b, key, terms) : memberOf(b, key);
    if (right === undefined) same = false;
    else {
      const verdict = equal(memberOf(a, key), right, terms);
      if (verdict === FAILED) return FAILED;
      same &&= verdict;
    }
  }
  return same;
}

/** `in` over a list: true for a member, else FAILED when some member was of another type. */
export function includes(list: readonly Value[], value: Value, terms: EvaluationTerms): boolean | Failed {
  let failed = false;
  for (const item of list) {
    terms.budget.charge(1);
    const verdict = equal(value, item, terms);
    if (verdict === true) return true;
    failed ||= verdict === FAILED;
  }
  return failed ? FAILED : false;
}

/** Whether a map has the wanted key as a value, directly or in a list: the author of the condition expected a list. */
export function holdsAsValue(map: object, value: Value, terms: EvaluationTerms): boolean {
  for (const key of keysOf(map, terms.budget)) {
    const held = memberOf(map, key);
    if ((Array.isArray(held) ? includes(held, value, terms) : equal(held, value, terms)) === true) return true;
  }
  return false;
}
