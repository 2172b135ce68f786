// The meters of a configuration, compiled: which calls they count, and what a call adds. They match as hold rules do: by
// every spelling of a call, and a condition that fails counts as true. An amount that is no number, not finite or below
// 0 is unknown: the meter then fails for this call.

import { unitsOf } from '../domain/amount.ts';
import { canonicalDigest, sha256 } from '../domain/canonical.ts';
import type { Classifiable } from '../domain/classification.ts';
import type { Addition, Meter } from '../domain/meter.ts';
import { kindOf, numeric, type Value } from './cel/values.ts';
import { type CompiledRule, compileRule, indexRules, type RuleIndex } from './compiled-rule.ts';
import { compileValue, type ValueExpression } from './conditions.ts';
import { languageOf } from './language.ts';
import { isLifecycle } from './mcp-lifecycle.ts';
import { type ReadPath, readPath } from './paths.ts';
import type { MeterOptions, PolicyOptions } from './rules.ts';
import { CALL_VARIABLES, CallVariables } from './variables/variables.ts';

const LANGUAGE = languageOf({ meters: [] }, CALL_VARIABLES);

/** The types of values that can be counted. */
const AMOUNTS = ['double', 'int', 'uint'];
const VALUES = [...AMOUNTS, 'string', 'bool'];

interface CompiledMeter {
  readonly meter: Meter;
  readonly rule: CompiledRule;
  /** What is added or counted; 1 where there is no expression. */
  readonly expression?: ValueExpression;
  readonly readsBody: boolean;
}

/** Throws TypeError with a sentence that says what is wrong. */
export const compileMeterValue = ({ value, distinct }: MeterOptions): ValueExpression | undefined =>
  distinct !== undefined
    ? compileValue(distinct, VALUES, LANGUAGE)
    : value === undefined
      ? undefined
      : compileValue(value, AMOUNTS, LANGUAGE);

/** The call that a meter counts, as a rule. Throws TypeError. */
export const compileMeterMatch = (name: string, { match, when }: MeterOptions): CompiledRule =>
  compileRule({ id: name, match, decide: 'deny', ...(when !== undefined && { when }) }, 0, {}, LANGUAGE);

function compileMeter(name: string, options: MeterOptions): CompiledMeter {
  const rule = compileMeterMatch(name, options);
  const expression = compileMeterValue(options);
  return {
    meter: {
      ...{ name, id: idOf(name, options) },
      counts: options.distinct === undefined ? 'amounts' : 'values',
      ...{ per: options.per, windowMs: options.windowMs, strict: options.durable === 'strict' },
    },
    rule,
    ...(expression && { expression }),
    readsBody: rule.readsBody || expression?.readsBody === true,
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
export interface Measured {
  readonly meter: Meter;
  readonly adds: Addition;
}

export class Meters {
  readonly #byName: ReadonlyMap<string, CompiledMeter>;
  readonly #index: RuleIndex;

  constructor({ meters = {}, upstreams }: Pick<PolicyOptions, 'meters' | 'upstreams'>) {
    this.#byName = new Map(Object.entries(meters).map(([name, options]) => [name, compileMeter(name, options)]));
    this.#index = indexRules(
      [...this.#byName.values()].map(({ rule }) => rule),
      upstreams,
    );
  }

  get any(): boolean {
    return this.#byName.size > 0;
  }

  named(name: string): Meter | undefined {
    return this.#byName.get(name)?.meter;
  }

  /** Whether a meter that could count this call reads its body. */
  readsBody(upstream: string, method: string, path: ReadPath): boolean {
    const caseSensitive = this.#index.caseSensitive(upstream);
    return this.#index
      .candidates(upstream, method)
      .some((rule) => this.#of(rule).readsBody && rule.matchPath(path, caseSensitive) !== undefined);
  }

  /** Whether a meter would count a call to this path if it had another method. */
  countsByMethod(upstream: string, method: string, path: ReadPath): boolean {
    const caseSensitive = this.#index.caseSensitive(upstream);
    return this.#index.byMethod(upstream, method).some((rule) => rule.matchPath(path, caseSensitive) !== undefined);
  }

  /** Every meter that counts the call. */
  measure(call: Classifiable): readonly Measured[] {
    const { action } = call;
    const candidates = this.#index.candidates(action.upstream, action.method);
    const path = candidates.length === 0 ? undefined : readPath(action.path);
    if (path === undefined) return [];
    const caseSensitive = this.#index.caseSensitive(action.upstream);
    const variables = new CallVariables({ ...call, calls: [], now: 0 }, caseSensitive);
    return candidates.flatMap((rule) => {
      const params = rule.matchRpc(action, caseSensitive) ? rule.matchPath(path, caseSensitive) : undefined;
      if (params === undefined || (sparesSessions(rule) && isLifecycle(action))) return [];
      variables.params = params;
      if (rule.condition?.evaluate(variables) === false) return [];
      const { meter, expression } = this.#of(rule);
      return [{ meter, adds: additionOf(meter, expression, variables) }];
    });
  }

  #of({ options: { id } }: CompiledRule): CompiledMeter {
    const found = this.#byName.get(id);
    if (found === undefined) throw new TypeError(`no meter is called ${id}`);
    return found;
  }
}

/** A meter that names no message does not count those that open and keep an MCP session. */
const sparesSessions = ({ options: { match } }: CompiledRule): boolean =>
  match.tool === undefined && match.mcp === undefined && match.resource === undefined && match.prompt === undefined;

const ONE: Addition = { kind: 'amount', units: unitsOf(1n) as bigint };
const UNKNOWN: Addition = { kind: 'unknown' };

function additionOf(meter: Meter, expression: ValueExpression | undefined, variables: CallVariables): Addition {
  if (expression === undefined) return ONE;
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
