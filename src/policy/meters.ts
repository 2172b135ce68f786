// The meters of a configuration, compiled: which calls they count, and what a call adds. They match as hold rules do: by
// every spelling of a call, and a condition that fails counts as true. An amount that is no number, not finite or below
// 0 is unknown: the meter then fails for this call.

import { unitsOf } from '../domain/amount.ts';
import { canonicalDigest, sha256 } from '../domain/canonical.ts';
import type { Classifiable } from '../domain/classification.ts';
import type { Addition, Meter } from '../domain/meter.ts';
import { kindOf, numeric, type Value } from './cel/values.ts';
import { compileValue, type ValueExpression } from './conditions.ts';
import { indexMatches, type MatchIndex } from './matcher.ts';
import { readPath } from './paths.ts';
import type { MeterOptions, PolicyOptions } from './rules.ts';
import { compileSelector, SELECTING, SelectedCall, type Selector, select } from './selector.ts';
import type { CallVariables } from './variables/variables.ts';
import type { Vocabulary } from './vocabulary.ts';

const AMOUNTS = ['double', 'int', 'uint'];

/** Throws TypeError with a sentence that says what is wrong. */
export const compileAmount = (value: string): ValueExpression => compileValue(value, AMOUNTS, SELECTING);
/** Throws TypeError with a sentence that says what is wrong. */
export const compileDistinct = (distinct: string): ValueExpression =>
  compileValue(distinct, [...AMOUNTS, 'string', 'bool'], SELECTING);

interface CompiledMeter extends Selector<MeterOptions> {
  readonly meter: Meter;
  /** What is added or counted; 1 where there is no expression. */
  readonly expression?: ValueExpression;
}

function compileMeter(name: string, options: MeterOptions): CompiledMeter {
  const selector = compileSelector(options);
  const { value, distinct } = options;
  const amount = value === undefined ? undefined : compileAmount(value);
  const expression = distinct === undefined ? amount : compileDistinct(distinct);
  return {
    ...selector,
    readsBody: selector.readsBody || expression?.readsBody === true,
    meter: {
      ...{ name, id: idOf(name, options) },
      counts: distinct === undefined ? 'amounts' : 'values',
      ...{ per: options.per, windowMs: options.windowMs, strict: options.durable === 'strict' },
    },
    ...(expression && { expression }),
  };
}

/** Another match, value or scope makes it another meter. */
const idOf = (name: string, { match, when, value, distinct, per }: MeterOptions): string =>
  canonicalDigest('countersign/meter/v1', {
    ...{ name, match, per: [...per].sort() },
    ...(when !== undefined && { when }),
    ...(value !== undefined && { value }),
    ...(distinct !== undefined && { distinct }),
  });

/** A meter with what a call adds to it, where it counts the call. */
interface Measured {
  readonly meter: Meter;
  readonly adds: Addition;
}

export class Meters {
  readonly #byName: ReadonlyMap<string, CompiledMeter>;
  readonly #index: MatchIndex<CompiledMeter>;
  readonly #upstreams: PolicyOptions['upstreams'];
  readonly #vocabulary: Vocabulary;

  constructor({ meters = {}, upstreams }: Pick<PolicyOptions, 'meters' | 'upstreams'>, vocabulary: Vocabulary) {
    this.#byName = new Map(Object.entries(meters).map(([name, options]) => [name, compileMeter(name, options)]));
    this.#index = indexMatches([...this.#byName.values()], Object.keys(upstreams));
    this.#upstreams = upstreams;
    this.#vocabulary = vocabulary;
  }

  get any(): boolean {
    return this.#byName.size > 0;
  }

  get all(): readonly Meter[] {
    return [...this.#byName.values()].map(({ meter }) => meter);
  }

  named(name: string): Meter | undefined {
    return this.#byName.get(name)?.meter;
  }

  /** Whether a meter that could count this call reads its body. */
  readsBody(upstream: string, method: string, path: string): boolean {
    return this.#mayCount(
      this.#index.candidates(upstream, method).filter(({ readsBody }) => readsBody),
      upstream,
      path,
    );
  }

  /** Whether a meter would count a call to this path if it had another method. */
  countsByMethod(upstream: string, method: string, path: string): boolean {
    return this.#mayCount(
      this.#index.of(upstream).filter(({ options: { match, when } }) => {
        return when?.includes('method') || match.methods?.includes(method) === false;
      }),
      upstream,
      path,
    );
  }

  /** Every meter that counts the call. */
  measure(call: Classifiable): readonly Measured[] {
    const { upstream, method } = call.action;
    const candidates = this.#index.candidates(upstream, method);
    if (candidates.length === 0) return [];
    const selected = new SelectedCall(call, this.#vocabulary, this.#isCaseSensitive(upstream));
    return select(candidates, selected).map(({ selector, params }) => {
      const { meter, expression } = selector as CompiledMeter;
      if (expression === undefined) return { meter, adds: ONE };
      selected.variables.params = params;
      return { meter, adds: additionOf(meter, expression, selected.variables) };
    });
  }

  #mayCount(meters: readonly CompiledMeter[], upstream: string, path: string): boolean {
    const read = meters.length === 0 ? undefined : readPath(path);
    if (read === undefined) return false;
    const caseSensitive = this.#isCaseSensitive(upstream);
    return meters.some((meter) => meter.matchPath(read, caseSensitive) !== undefined);
  }

  #isCaseSensitive(upstream: string): boolean {
    return this.#upstreams[upstream]?.caseSensitive === true;
  }
}

const ONE: Addition = { kind: 'amount', units: unitsOf(1n) as bigint };
const UNKNOWN: Addition = { kind: 'unknown' };

function additionOf(meter: Meter, expression: ValueExpression, variables: CallVariables): Addition {
  const value = expression.evaluate(variables);
  if (meter.counts === 'values') return distinctOf(value);
  const amount = numeric(value);
  const units = amount === undefined ? undefined : unitsOf(amount);
  return units === undefined ? UNKNOWN : { kind: 'amount', units };
}

/** Only the digest is kept: a value can be anything that stands in a call. */
function distinctOf(value: Value): Addition {
  const kind = kindOf(value);
  const number = numeric(value);
  if (number !== undefined && !Number.isNaN(number)) return { kind: 'value', digest: sha256(`number ${number}`) };
  return kind === 'string' || kind === 'bool' ? { kind: 'value', digest: sha256(`${kind} ${value}`) } : UNKNOWN;
}
