// Novelty: whether an agent does something for the first time. Known is what an upstream answered below 400, to this agent
// key, within the window. Mentions, holds, denials, errors and other agents teach nothing.

import type { EpochMs } from './clock.ts';

/** What is new about a call. */
export interface Novelty {
  /** No call of this agent with the same resource, tool, or method and path pattern. */
  readonly operation: boolean;
  /** None of them with every target of this call. */
  readonly destination: boolean;
  /** No call of this agent at all. */
  readonly agent: boolean;
}

/** By what a call is recognised. */
export interface Recognisable {
  /** The resources that match; without one, the tool, or the method and the path pattern. */
  readonly operations: readonly string[];
  /** Where it goes, in normal form. Undefined where not every target is known: then the destination is always new. */
  readonly targets: readonly string[] | undefined;
}

/** Durable, and bounded for each agent key: what it has no room for stays new. */
export interface NoveltyStore {
  /** One query. Throws `store_unavailable`. */
  of(agentKey: string, call: Recognisable): Novelty;
  /** The call was answered. Durable within a second; never throws. */
  record(agentKey: string, call: Recognisable, windowMs: number): void;
  /** What is known of an agent, latest first. */
  known(agentKey: string, most: number): readonly KnownOperation[];
}

export interface KnownOperation {
  readonly operation: string;
  /** Absent for the operation itself. */
  readonly target?: string;
  readonly until: EpochMs;
}
