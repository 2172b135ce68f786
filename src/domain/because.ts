// The facts on which a refusal or a hold rests, as its agent is told: which fact, since when, until when, and what caused
// it. Ids and times only: no content, and no name of anybody else.

import { isoTime } from './clock.ts';
import type { Json, JsonObject } from './json.ts';
import type { Mark } from './taint.ts';

export type Because = {
  /** As conditions name it: `tainted`, `meter.paid`. */
  readonly fact: string;
  readonly value: Json;
  /** RFC 3339. */
  readonly since?: string;
  readonly until?: string;
  readonly cause?: JsonObject;
};

export const becauseOfMark = ({ taint, since, until, cause: { call, at, resources } }: Mark): Because => ({
  fact: 'tainted',
  value: taint,
  since: isoTime(since),
  until: isoTime(until),
  cause: { call, at: isoTime(at), resources },
});

/** The same as a sentence to append; empty where there is nothing to tell. */
export function becauseWords(because: readonly Because[] | undefined): string {
  if (because === undefined || because.length === 0) return '';
  return ` The decision rests on: ${because.map(wordsOf).join('; ')}.`;
}

function wordsOf({ fact, value, until }: Because): string {
  const [kind, name = ''] = fact.split('.');
  if (kind === 'tainted') return `the mark ${value} on what was read before, until ${until}`;
  return kind === 'meter' ? `the meter ${name}, which stands at ${value}` : `a first time (${fact})`;
}
