// An agent that is refused again and again: what counts as a violation, and what is done when there were too many.

import type { Notice } from './notification.ts';
import type { Suspendable } from './suspension.ts';

/** How a call was refused: by the rules, by people, or by the gateway for another reason. */
export type ViolationKind = 'deny' | 'denied_by_people' | 'other';

/** An entry under `violations`. */
export interface ViolationLimit {
  readonly count: number;
  readonly withinMs: number;
  readonly of: 'deny' | 'denied_by_people' | 'any';
  readonly reactions: {
    /** Channels that are told. */
    readonly notify: readonly string[];
    readonly revokeCredentials: boolean;
    readonly suspend?: { readonly what: Scope; readonly forMs: number };
  };
}

/** What a reaction is about: the task tree of the call, the person it is for, or its agent. */
export type Scope = 'root' | 'person' | 'agent';

export interface Violations {
  /** Undefined where nothing counts it. What reaches a limit is in force when it resolves. Never rejects. */
  note(refused: Suspendable, kind: ViolationKind): undefined | Promise<void>;
}

export interface ViolationCounter {
  /** Which limit: the same text for the same count, window and kind. */
  readonly limit: string;
  readonly agentKey: string;
}

/** Durable counts in sliding windows, by the store's clock. Errors: `store_unavailable`. */
export interface ViolationStore {
  /** Counts one more. Gives how many there are within the window. Keeps no more than `most` of them. */
  count(counter: ViolationCounter, withinMs: number, most: number): Promise<number>;
  /** Begins the count anew, and has these channels told, in one transaction. */
  reset(counter: ViolationCounter, notice: Notice, channels: readonly string[]): Promise<void>;
}
