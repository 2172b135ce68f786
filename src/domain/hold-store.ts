// The port that keeps holds. store/ implements it; every change of a hold runs inside one transaction, with the store's
// clock. What a hold is stands in hold.ts.

import type { Digest } from './action.ts';
import type { EpochMs } from './clock.ts';
import type { HeldContent, Hold, HoldState, PendingHold } from './hold.ts';
import type { MeterEntry } from './meter.ts';

/** What one agent has in the store. */
export interface AgentUsage {
  /** Its PENDING holds whose clock has not run out. */
  readonly pending: number;
  /** Holds that the agent opened within the last hour, in any state. */
  readonly lastHour: number;
  /** When the first of those was opened. */
  readonly firstOfHour?: EpochMs;
  /** Bytes of its holds, their bodies, its tasks and their calls. */
  readonly storedBytes: number;
}

/** How earlier holds of the same kind ended: same agent, upstream, method, tool and rules. */
export interface SimilarHolds {
  readonly approvedTimes: number;
  readonly deniedTimes: number;
  readonly since: EpochMs;
}

/** How fast one reviewer decides. */
export interface VoteTimes {
  readonly decisions: number;
  /**
   * From opening the hold to the vote; from the hold's creation if it was not opened here. Absent without decisions.
   */
  readonly medianSeconds?: number;
  /** Decisions that took less than three seconds. */
  readonly tooFast: number;
}

export interface HoldQuery {
  readonly states?: readonly HoldState[];
  readonly principalId?: string;
  readonly taskId?: string;
  /** Holds of every task under this root. */
  readonly root?: string;
  /**
   * At most this many, newest first; default 50, largest 200. A page ends earlier when it reaches a fixed number of
   * bytes.
   */
  readonly limit?: number;
  /** The opaque `next` of the previous page. */
  readonly after?: string;
}

export interface HoldListPage {
  readonly holds: readonly Hold[];
  readonly next?: string;
}

/** The result of a transition: the hold as it is in the store now, and the transition's answer. */
export interface HoldChange<T> {
  readonly hold: Hold;
  readonly answer: T;
}

/** A new hold, with what is stored beside its record in the same transaction. */
export interface OpenedHold {
  readonly hold: PendingHold;
  readonly content: HeldContent;
  /** What it reserves in meters until it is sent or ends. */
  readonly reserves: readonly MeterEntry[];
}

/** What `choose` has the store write, if anything, and what it answers. */
export interface Admitted<T> {
  readonly opened?: OpenedHold;
  /** `from` is one of the holds that `choose` was shown. */
  readonly changed?: { readonly from: Hold; readonly to: Hold };
  readonly answer: T;
}

/**
 * Durable holds. The store gives atomicity, durability (a resolved promise means fsynced) and the one clock that
 * decides deadlines. Pure functions in approvals/ decide what a transition means. Errors: `store_unavailable`.
 */
export interface HoldStore {
  /** The store's time. */
  now(): EpochMs;
  /**
   * In one transaction: shows `choose` the holds of this principal that have one of the two digests of the request or
   * the same Idempotency-Key, newest first, and what the principal has here already. `choose` returns a hold to insert,
   * or a changed version of a hold that it was shown, or neither, and an answer. What `choose` throws is thrown on.
   */
  admit<T>(
    key: {
      readonly principalId: string;
      /** Whose usage counts. */
      readonly agentKey: string;
      readonly requestDigest: Digest;
      readonly formerRequestDigest?: Digest;
      readonly idempotencyKey?: string;
    },
    choose: (known: readonly Hold[], usage: () => AgentUsage, now: EpochMs) => Admitted<T>,
  ): Promise<T>;
  get(id: string): Promise<Hold | undefined>;
  /** Undefined when the content is no longer kept. */
  content(id: string): Promise<HeldContent | undefined>;
  list(query: HoldQuery): Promise<HoldListPage>;
  /**
   * In one transaction: reads the hold, lets `step` give its next version (or undefined for no change) and an answer,
   * writes it with `version` + 1. What `step` throws is thrown on and nothing is written. Unknown id: `hold_not_found`.
   */
  change<T>(
    id: string,
    step: (hold: Hold, now: EpochMs) => { readonly next?: Hold; readonly answer: T },
  ): Promise<HoldChange<T>>;
  /** Ids of holds whose clock has run out: PENDING past its deadline, APPROVED past useBy. At most `limit`. */
  due(limit: number): Promise<readonly string[]>;
  /** Ids of PENDING holds whose `escalateAt` has passed. At most `limit`. */
  toEscalate(limit: number): Promise<readonly string[]>;
  /** Earlier holds like this one, since then; itself not counted. */
  similar(hold: Hold, since: EpochMs): Promise<SimilarHolds>;
  /** The decisions of one reviewer since then. */
  voteTimes(reviewerId: string, since: EpochMs): Promise<VoteTimes>;
  /** Ids of RELEASING and SENT holds that another process claimed. */
  orphans(claimedBy: string): Promise<readonly string[]>;
  /**
   * The listener is called after every committed change, in commit order, with the state before the change. That state
   * is undefined when the hold is new, or when another process made the change, which then counts and records it. A
   * listener never throws. Returns the function that ends the subscription.
   */
  subscribe(listener: (hold: Hold, before: HoldState | undefined) => void): () => void;
  /** How many holds are open, by state. */
  counts(): Promise<Readonly<Partial<Record<HoldState, number>>>>;
}
