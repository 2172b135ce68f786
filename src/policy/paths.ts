// Matching raw paths against URLPattern pathnames (WHATWG URL Pattern). A path is compared in decoded form, so
// `/%61dmin` matches a rule for `/admin`. A path with an ambiguous decoding matches no pattern. Every pattern matches
// in time linear in the path: plain ones (literal segments, `:name`, a last `*`) by segments, the others by RE2.

import { RE2JS } from 're2js';
import { foldKey } from '../domain/normal-forms/keys.ts';
import { otherSpellings, Spelling } from './spellings.ts';
import { compileUrlPattern } from './url-pattern.ts';

/** Values of a pattern's named groups, percent-decoded. */
export type PathParams = ReadonlyMap<string, string>;

export const NO_PARAMS: PathParams = new Map();

/**
 * `exact` compares the path as it is. `lenient` compares every spelling that an upstream may read as the same path, so
 * that no spelling leads around a hold or deny rule. `caseSensitive` does the same, but distinguishes case.
 */
export type Reading = 'exact' | 'lenient' | 'caseSensitive';

export interface PathPattern {
  readonly names: readonly string[];
  match(path: ReadPath, reading: Reading): PathParams | undefined;
}

/**
 * The budget of one path: characters times size of the expression, over all expressions. One such unit takes at most
 * about 25 ns.
 */
const COST_LIMIT = 4_000_000;

/** A path in the forms with which patterns are compared. */
export class ReadPath {
  /** As it is, percent-decoded. */
  readonly itself: Spelling;
  #others: readonly Spelling[] | undefined;
  #cost = 0;

  /** `segments` without the leading empty one. */
  constructor(segments: readonly string[]) {
    this.itself = new Spelling(segments);
  }

  /** Spellings that an upstream may read as the same path, in the same case. */
  get otherSpellings(): readonly Spelling[] {
    this.#others ??= otherSpellings(this.itself);
    return this.#others;
  }

  /** Charges for one expression, and says whether the budget allows it. */
  affords(cost: number): boolean {
    this.#cost += cost;
    return this.#cost <= COST_LIMIT;
  }

  /**
   * Whether the budget is spent. Then no expression has a result: hold and deny rules count as matching, allow rules do
   * not.
   */
  get overBudget(): boolean {
    return this.#cost > COST_LIMIT;
  }
}

/** A path that decodes to itself and has no dot segment: the common case. */
const PLAIN_PATH = /^(?:\/[\w~-][\w.~!$&'()*+,;=:@-]*)+\/?$/;

/**
 * Undefined for a path that two servers could read differently: bad escapes, encoded separators, dot or empty segments.
 */
export function readPath(path: string): ReadPath | undefined {
  if (PLAIN_PATH.test(path)) return new ReadPath(path.slice(1).split('/'));
  if (!path.startsWith('/')) return undefined;
  const segments = path.slice(1).split('/');
  for (const [index, raw] of segments.entries()) {
    const segment = raw.includes('%') ? decodeSegment(raw) : raw;
    if (segment === undefined || /^\.{1,2}$|[/\\\u0000-\u001f\u007f]/.test(segment)) return undefined;
    if (segment === '' && index !== segments.length - 1) return undefined;
    segments[index] = segment;
  }
  return new ReadPath(segments);
}

function decodeSegment(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** Throws TypeError with a sentence about the pattern. */
export function compilePath(pattern: string): PathPattern {
  if (!pattern.startsWith('/')) throw new TypeError('Write a path that starts with `/`.');
  if (/[%#]/.test(pattern)) throw new TypeError('Write the path in decoded characters, without `%` and `#`.');
  if (/\/(?:\.{0,2})(?=\/)|\/\.{1,2}$/.test(pattern))
    throw new TypeError('Write the path without empty segments, `.` and `..`.');
  const general = generalPattern(pattern);
  const segments = pattern.slice(1).split('/');
  return segments.every(isPlain) && !segments.slice(0, -1).includes('*') ? plainPattern(segments) : general;
}

const isPlain = (segment: string): boolean =>
  segment === '' || segment === '*' || /^:[A-Za-z_]\w*$|^[\w.~!$&',;=@-]+$/.test(segment);

function plainPattern(pattern: readonly string[]): PathPattern {
  const open = pattern.at(-1) === '*';
  const fixed = open ? pattern.slice(0, -1) : pattern;
  const named = fixed.flatMap((segment, at) => (segment.startsWith(':') ? [{ name: segment.slice(1), at }] : []));
  const literals = fixed.flatMap((text, at) => (text.startsWith(':') ? [] : [{ text, at }]));
  const folded = literals.map(({ text, at }) => ({ text: foldKey(text), at }));
  const fits = (segments: readonly string[], texts: typeof literals): boolean => {
    if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return false;
    for (const { text, at } of texts) if (segments[at] !== text) return false;
    for (const { at } of named) if (segments[at] === '') return false;
    return true;
  };
  const params = (segments: readonly string[]): PathParams => {
    if (named.length === 0) return NO_PARAMS;
    const values = new Map<string, string>();
    for (const { name, at } of named) values.set(name, segments[at] as string);
    return values;
  };
  const matchExactly = ({ segments }: Spelling): PathParams | undefined =>
    fits(segments, literals) ? params(segments) : undefined;
  const matchFolded = ({ segments, foldedSegments }: Spelling): PathParams | undefined =>
    // Parameters keep the spelling of the path, because they narrow credentials.
    fits(foldedSegments, folded)
      ? params(foldedSegments.length === segments.length ? segments : foldedSegments)
      : undefined;
  return {
    names: named.map(({ name }) => name),
    match(path, reading) {
      const matchOne = reading === 'lenient' ? matchFolded : matchExactly;
      const found = matchOne(path.itself);
      return found !== undefined || reading === 'exact' ? found : firstOf(path.otherSpellings, matchOne);
    },
  };
}

function firstOf<T, R>(items: readonly T[], look: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function generalPattern(pattern: string): PathPattern {
  const { source, prefix, groups } = compileUrlPattern(pattern);
  const expression = compileExpression(source, 0);
  const folded = compileUrlPattern(pattern, foldKey);
  const folding = compileExpression(folded.source, RE2JS.CASE_INSENSITIVE);
  const weight = expression.programSize();
  const hasNames = groups.some((name) => name !== undefined);

  const params = (matching: RE2JS, text: string): PathParams => {
    if (!hasNames) return NO_PARAMS;
    const matcher = matching.matcher(text);
    matcher.matches();
    return new Map(groups.flatMap((name, index) => (name === undefined ? [] : pair(name, matcher.group(index + 1)))));
  };
  const ask = (matching: RE2JS, text: string): PathParams | undefined =>
    matching.testExact(text) ? params(matching, text) : undefined;
  return {
    names: groups.filter((name) => name !== undefined),
    match(path, reading) {
      const matchOne = (spelling: Spelling): PathParams | undefined => {
        const { text } = spelling;
        const begins = text.startsWith(prefix) || (reading === 'lenient' && spelling.folded.startsWith(folded.prefix));
        if (!begins) return undefined;
        if (!path.affords(text.length * weight)) return reading === 'exact' ? undefined : NO_PARAMS;
        const found = ask(expression, text);
        // Case folding makes a set of characters larger and a negated set smaller, so both expressions are asked.
        return found !== undefined || reading !== 'lenient'
          ? found
          : (ask(folding, text) ?? ask(folding, spelling.folded));
      };
      const found = matchOne(path.itself);
      return found !== undefined || reading === 'exact' ? found : firstOf(path.otherSpellings, matchOne);
    },
  };
}

const pair = (name: string, value: string | null): readonly (readonly [string, string])[] =>
  value === null ? [] : [[name, value]];

function compileExpression(source: string, flags: number): RE2JS {
  try {
    return RE2JS.compile(source, flags);
  } catch {
    throw new TypeError('Write each group as RE2 takes it: no lookaround, no backreferences, no large repetitions.');
  }
}
