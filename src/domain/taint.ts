// Taint: what the gateway has handed out that must not go everywhere. A mark says that somebody has seen a kind of data:
// it stands on an agent key, a person, a root of tasks, or a resource into which marked callers have written, and it
// ends by itself. Only the gateway sets marks, before the first byte of the answer goes on.

import type { EpochMs } from './clock.ts';

/** What a mark can stand on. `resource`: an entry of `resources` with `carries`. */
export const MARK_SCOPES = ['agent', 'person', 'root', 'resource'] as const;
export type MarkScope = (typeof MARK_SCOPES)[number];

export interface MarkKey {
  readonly scope: MarkScope;
  /** An agent key, a person key (domain/person.ts), the id of a root task, or the id of an entry of `resources`. */
  readonly key: string;
}

/** What set a mark, without any content of it. */
export interface MarkCause {
  /** The id of the call. */
  readonly call: string;
  readonly at: EpochMs;
  /** The entry of `resources` that the call matched. */
  readonly resource: string;
}

export interface Mark extends MarkKey {
  /** A name under `taints`. */
  readonly taint: string;
  /** When it was first set. A mark that is renewed before it ends keeps this. */
  readonly since: EpochMs;
  readonly until: EpochMs;
  /** The call that set it, or renewed it last. */
  readonly cause: MarkCause;
}

/** For each taint and scope the mark that ends last: what a decision has to know of many marks. */
export function longest(marks: readonly Mark[]): readonly Mark[] {
  const found = new Map<string, Mark>();
  for (const mark of marks) {
    const place = `${mark.scope} ${mark.taint}`;
    const known = found.get(place);
    if (known === undefined || known.until < mark.until) found.set(place, mark);
  }
  return [...found.values()];
}

/** The names of the taints, each once, in alphabetical order. */
export const taintsOf = (marks: readonly Pick<Mark, 'taint'>[]): readonly string[] =>
  [...new Set(marks.map(({ taint }) => taint))].sort();
