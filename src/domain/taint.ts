// Taint: what the gateway has handed out that must not go everywhere. A mark says that somebody has seen a kind of data:
// it stands on an agent key, a person, a root of tasks, or a resource into which marked callers have written, and it
// ends by itself. Only the gateway sets marks, before the first byte of the answer goes on.

import type { EpochMs } from './clock.ts';
import { agentKeysOf, chainOf, personKeys } from './person.ts';
import type { Principal } from './principal.ts';

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
  /** The entries of `resources` that the call matched. */
  readonly resources: readonly string[];
  /** The agent key of who made the call. */
  readonly agent: string;
  /**
   * The person keys of everyone for whom a call set or renewed the mark since it is in force. None of them may lift it.
   */
  readonly chain: readonly string[];
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

/** A taint, and how long its marks last. */
export interface TaintKind {
  readonly taint: string;
  readonly forMs: number;
}

/** Durable marks. All times are the store's, and nothing is cached: what one gateway sets, every other one sees. */
export interface MarkStore {
  /** The marks in force on any of these keys: one query. Throws `store_unavailable`. */
  on(keys: readonly MarkKey[]): Promise<readonly Mark[]>;
  /**
   * Marks each key with each taint. Marks with more than half of their time left stay as they are; others are renewed.
   * Never shortens a mark. Resolves with those that were written, once they are on disk. Throws `store_unavailable`.
   */
  set(keys: readonly MarkKey[], taints: readonly TaintKind[], cause: MarkCause): Promise<readonly Mark[]>;
  /** Ends one mark now; undefined where none is in force. Throws `store_unavailable`. */
  lift(key: MarkKey, taint: string): Promise<Mark | undefined>;
}

/**
 * Whose marks count for a call, and who is marked by its answer: the caller’s agent key and the identity of its SVID;
 * everyone in its chain, as an agent and as a person; and the root of its task.
 */
export function markKeysOf(principal: Principal, root: string | undefined): readonly MarkKey[] {
  const people = new Set(chainOf(principal).flatMap(personKeys));
  return [
    ...agentKeysOf(principal).map((key): MarkKey => ({ scope: 'agent', key })),
    ...[...people].map((key): MarkKey => ({ scope: 'person', key })),
    ...(root === undefined ? [] : [{ scope: 'root', key: root } as const]),
  ];
}

export const resourceKeys = (ids: readonly string[]): readonly MarkKey[] =>
  ids.map((key) => ({ scope: 'resource', key }));
