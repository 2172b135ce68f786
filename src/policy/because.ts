// Which facts the decisive rules rest on, for the agent. A rule that names marks rests on those, and one that reads them
// without a name on all. Nothing is told where `tellFacts` is false.

import { type Because, becauseOfMark } from '../domain/because.ts';
import type { Effect } from '../domain/decision.ts';
import { type Facts, historyOf } from '../domain/facts.ts';
import { longest } from '../domain/taint.ts';
import type { Match } from './rule-outcome.ts';

export function becauseOf(
  matches: readonly Match[],
  effect: Effect,
  facts: Facts,
  tellFacts: boolean,
): readonly Because[] {
  const decisive = matches.filter(
    ({ rule: { options } }) => options.decide === effect && (options.tellFacts ?? tellFacts),
  );
  return [...marksOf(decisive, facts), ...countsOf(decisive, facts), ...noveltiesOf(decisive, facts)];
}

/** The meters that the rules read, as far as they can be told. */
function countsOf(decisive: readonly Match[], { meters = {} }: Facts): readonly Because[] {
  const names = new Set(decisive.flatMap(({ rule: { condition } }) => [...(condition?.metersRead ?? [])]));
  return [...names].flatMap((name) => {
    const value = Object.hasOwn(meters, name) ? meters[name] : undefined;
    return value === undefined ? [] : [{ fact: `meter.${name}`, value }];
  });
}

function noveltiesOf(decisive: readonly Match[], facts: Facts): readonly Because[] {
  if (!decisive.some(({ rule: { condition } }) => condition?.factsRead.has('novel'))) return [];
  return (historyOf(facts).novel ?? []).map((what) => ({ fact: `novel.${what}`, value: true }));
}

function marksOf(decisive: readonly Match[], { tainted = [] }: Facts): readonly Because[] {
  if (tainted.length === 0) return [];
  const reading = decisive.flatMap(({ rule: { condition } }) =>
    condition?.factsRead.has('tainted') ? [condition] : [],
  );
  const named = reading.map(({ literals }) => literals.filter(({ of }) => of === 'tainted').map(({ text }) => text));
  const counts = (taint: string): boolean => named.some((names) => names.length === 0 || names.includes(taint));
  // One for each taint, whatever it stands on: whom else it marks is nobody's business.
  const marks = tainted.filter(({ taint }) => counts(taint)).map((mark) => ({ ...mark, scope: 'agent' as const }));
  return longest(marks).map(becauseOfMark);
}
