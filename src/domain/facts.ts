// What is known of a call when it is decided: what the gateway was configured with, verified or counted. Words of the
// agent are not facts.

import type { Classification, Destinations } from './classification.ts';
import type { Decision } from './decision.ts';
import { defined } from './defined.ts';
import type { Novelty } from './novelty.ts';
import { longest, type Mark, taintsOf } from './taint.ts';

/**
 * Facts that are looked up for a call, because what happened before decides: the calls of its task, marks, meters, and
 * what is new. A condition that reads one makes the body be read before the decision.
 */
export type HistoryFact = 'history' | 'tainted' | 'meter' | 'novel';

export interface Facts {
  readonly classification: Classification;
  /** Absent where nobody asked where the call leads: no rule read it, and no people are to decide. */
  readonly destinations?: Destinations;
  /**
   * The marks of the call's agent keys, people and root: for each taint and scope the one that ends last. Absent where
   * nothing asks for them.
   */
  readonly tainted?: readonly Mark[];
  /**
   * By name, each meter that a rule for the call reads; a meter that cannot be told is left out. Absent where no rule
   * reads one.
   */
  readonly meters?: Readonly<Record<string, number>>;
  /** What the agent does for the first time. Absent where no rule reads it. */
  readonly novel?: Novelty;
}

/**
 * The facts that count when a held call is judged again: the stricter of those on which it was held and those of now.
 * What faded since then still counts, so it voids no approval. The classification is that of now.
 */
export function stricter(then: Facts, now: Facts): Facts {
  return {
    ...now,
    ...defined({
      tainted: joined(then.tainted, now.tainted),
      meters: larger(then.meters, now.meters),
      novel: eitherNew(then.novel, now.novel),
    }),
  };
}

/** The facts on which a call was held, with the classification of now. */
export const asHeld = (then: Facts, { classification }: Facts): Facts => ({ ...then, classification });

/** What there is now and was not there when the call was held, in words: `the mark customer-data`. */
export function appeared(then: Facts, now: Facts): readonly string[] {
  const before = new Set(taintsOf(then.tainted ?? []));
  return [
    ...taintsOf(now.tainted ?? [])
      .filter((taint) => !before.has(taint))
      .map((taint) => `the mark ${taint}`),
    ...grown(then.meters ?? {}, now.meters ?? {}),
    ...NOVELTIES.filter((what) => now.novel?.[what] === true && then.novel?.[what] !== true).map(
      (what) => `novel.${what}`,
    ),
  ];
}

const NOVELTIES = ['operation', 'destination', 'agent'] as const;

interface RecordedHistory {
  readonly meters?: Readonly<Record<string, number>>;
  readonly novel?: readonly string[];
}

const NOTHING_RECORDED: RecordedHistory = {};

/** What records say of what was counted, and of what is new: members without content are left out. */
export function historyOf(facts: Facts | undefined): RecordedHistory {
  if (facts?.meters === undefined && facts?.novel === undefined) return NOTHING_RECORDED;
  const novel = NOVELTIES.filter((what) => facts?.novel?.[what] === true);
  const meters = Object.keys(facts?.meters ?? {}).length === 0 ? undefined : facts?.meters;
  return defined({ meters, novel: novel.length === 0 ? undefined : novel });
}

/** Meters that have come to more, and those that cannot be told any more. */
function grown(then: NonNullable<Facts['meters']>, now: NonNullable<Facts['meters']>): readonly string[] {
  return Object.entries(then).flatMap(([name, before]) => {
    const after = Object.hasOwn(now, name) ? now[name] : undefined;
    if (after === undefined) return [`the meter ${name}, which cannot be told now`];
    return after > before ? [`the meter ${name}, which grew from ${before} to ${after}`] : [];
  });
}

/** The larger of both. A meter that could not be told once has no value: what reads it fails. */
function larger(then: Facts['meters'], now: Facts['meters']): Facts['meters'] {
  if (then === undefined || now === undefined) return now ?? then;
  return Object.fromEntries(
    Object.entries(now).flatMap(([name, after]) => {
      const before = Object.hasOwn(then, name) ? then[name] : undefined;
      return before === undefined ? [] : [[name, Math.max(before, after)]];
    }),
  );
}

function eitherNew(then: Facts['novel'], now: Facts['novel']): Facts['novel'] {
  if (then === undefined || now === undefined) return now ?? then;
  return {
    operation: then.operation || now.operation,
    destination: then.destination || now.destination,
    agent: then.agent || now.agent,
  };
}

function joined(then: Facts['tainted'], now: Facts['tainted']): Facts['tainted'] {
  return then === undefined || now === undefined ? (now ?? then) : longest([...then, ...now]);
}

/** How sensitive a call is, as lists show it: its label, and the words of its rules that are no label. */
export function shownClassification(
  { classification: { data, reversible } }: Facts,
  { dataWords = [] }: Pick<Decision, 'dataWords'>,
): { readonly data?: string; readonly reversible?: boolean } {
  const words = [...(data === undefined ? [] : [data]), ...dataWords];
  return defined({ data: words.length === 0 ? undefined : words.join(', '), reversible });
}
