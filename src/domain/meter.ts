// Meters: what calls add up to in a sliding window, for each agent, person and root of tasks, or for all together. A call
// reserves what it would add before it is decided on, so calls at the same time see each other. From the moment at which
// it is sent, it counts. Trusts the verified caller; what a call adds is read from the action.

import type { Digest } from './action.ts';
import { canonicalDigest } from './canonical.ts';
import { chainOf, personKeys } from './person.ts';
import type { Party, Principal } from './principal.ts';

export const METER_SCOPES = ['agent', 'person', 'root', 'all'] as const;
/** What a meter counts for: an agent key, a person in the chain, the root of the task, or everybody together. */
export type MeterScope = (typeof METER_SCOPES)[number];

export interface Meter {
  /** As conditions name it. */
  readonly name: string;
  /** Digest of what it counts and for whom. Another one is another meter, which begins anew. */
  readonly id: Digest;
  readonly counts: 'amounts' | 'values';
  readonly per: readonly MeterScope[];
  readonly windowMs: number;
  /** A count is on disk before its call is sent. */
  readonly strict: boolean;
}

/** What one call adds: an amount in billionths, or a value that counts once. `unknown`: the expression has no result. */
export type Addition =
  | { readonly kind: 'amount'; readonly units: bigint }
  | { readonly kind: 'value'; readonly digest: Digest }
  | { readonly kind: 'unknown' };

/** A meter as it concerns one call. */
export interface Metering {
  readonly meter: Meter;
  /** Whether a rule for the call reads it. */
  readonly read: boolean;
  /** Absent where the meter does not count the call. */
  readonly adds?: Addition;
}

/** What one call adds in one place. A place is a meter together with an agent, a person, a root, or `all`. */
export interface MeterEntry {
  readonly place: Digest;
  readonly windowMs: number;
  readonly strict: boolean;
  readonly adds: Addition;
}

/** A meter of one call with the places in which it counts. */
export interface PlacedMetering extends Metering {
  /** Whose counts matter to the call. Empty where no scope of the meter exists: then it cannot be told. */
  readonly reads: readonly Digest[];
  readonly entries: readonly MeterEntry[];
}

export function placeMetering(metering: Metering, principal: Principal, root: string | undefined): PlacedMetering {
  const { meter, adds } = metering;
  const reads = meter.per.flatMap((scope) => placesOf(meter, scope, readKeys(scope, principal, root)));
  if (adds === undefined) return { ...metering, reads, entries: [] };
  const places = meter.per.flatMap((scope) => placesOf(meter, scope, countKeys(scope, principal, root)));
  const { windowMs, strict } = meter;
  return { ...metering, reads, entries: places.map((place) => ({ place, windowMs, strict, adds })) };
}

export const placesOf = ({ id }: Meter, scope: MeterScope, keys: readonly string[]): readonly Digest[] =>
  keys.map((key) => canonicalDigest('countersign/meter-place/v1', [id, scope, key]));

function readKeys(scope: MeterScope, principal: Principal, root: string | undefined): readonly string[] {
  switch (scope) {
    case 'agent':
      return [principal.agentKey];
    case 'person':
      // The caller is a person where its own token says so.
      return peopleOf(principal.person === undefined ? principal.onBehalfOf : chainOf(principal));
    case 'root':
      return root === undefined ? [] : [root];
    case 'all':
      return [''];
  }
}

/**
 * A caller is also counted under its own names as a person: whoever acts on its behalf later, finds there what it did
 * itself.
 */
const countKeys = (scope: MeterScope, principal: Principal, root: string | undefined): readonly string[] =>
  scope === 'person' ? peopleOf(chainOf(principal)) : readKeys(scope, principal, root);

const peopleOf = (parties: readonly Party[]): readonly string[] => [...new Set(parties.flatMap(personKeys))];

/** Whose hold the call may have opened before: what that hold reserves is not counted twice. */
export type OwnHold =
  | { readonly holdId: string }
  /** A hold of the identical request. The digest is made only where some hold reserves something. */
  | { readonly requestDigest: () => Digest; readonly idempotencyKey: string | undefined }
  /** None: the call is no re-send of a held call. */
  | 'none';

/** What a call holds in its meters until it is sent or ends. */
export interface Reservation {
  readonly entries: readonly MeterEntry[];
  /** Whether a hold reserves some of it in place of the call. */
  readonly onHold: boolean;
  /** By name, the meters that its rules read, with what it adds itself. One that cannot be told is left out. */
  readonly totals: Readonly<Record<string, number>>;
}

/** How far a meter is in one place. A number that cannot be told is left out. */
export interface MeterStand {
  /** Within the window. */
  readonly counted?: number;
  /** By open holds, and by calls under way. */
  readonly reserved?: number;
}

/** Durable counts. All times are the store's. */
export interface MeterStore {
  /** For people. Throws `store_unavailable`. */
  stand(meter: Meter, scope: MeterScope, key: string): MeterStand;
  /**
   * Reserves, and reads what each meter has come to, in one turn: of two calls the later one sees the earlier. Throws
   * `store_unavailable`.
   */
  reserve(meterings: readonly PlacedMetering[], own: OwnHold): Reservation;
  /** Idempotent, and without effect on what has been counted. */
  giveBack(reservation: Reservation): void;
  /**
   * Counts what the call adds, once, as of now. `all`: also what a hold of the identical request reserves; false for the
   * call of that hold, whose own change of state counts it. Resolves when the counts are on disk where a meter is
   * strict, and else at once. Throws `store_unavailable`.
   */
  count(reservation: Reservation, all: boolean): undefined | Promise<void>;
}
