// Meters in SQLite. What has been counted is read from the disk at every decision; what is reserved stands in memory. Counts
// of allowed calls are written together, within a second. Until they are on disk they stay reserved, so no decision
// misses them. What a hold reserves is on disk with the hold.

import type { Digest } from '../domain/action.ts';
import { amountOf } from '../domain/amount.ts';
import type { Clock, EpochMs } from '../domain/clock.ts';
import { defined } from '../domain/defined.ts';
import type { Hold, HoldState } from '../domain/hold.ts';
import type { Logger } from '../domain/log.ts';
import {
  type Meter,
  type MeterEntry,
  type MeterScope,
  type MeterStand,
  type MeterStore,
  type OwnHold,
  type PlacedMetering,
  placesOf,
  type Reservation,
} from '../domain/meter.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type Counted, type HeldEntries, type MeterRows, MOST_VALUES } from './meter-rows.ts';
import { Tallies } from './meter-tallies.ts';
import type { SqliteWriter } from './sqlite-writer.ts';
import { WriteBehind } from './write-behind.ts';

/** When more than this many counts are unwritten (the disk is failing), no further call is metered, and so none passes. */
const MOST_UNWRITTEN = 10_000;

class SqliteReservation implements Reservation {
  /** What stands in the tallies for this call. */
  inTallies: readonly MeterEntry[];
  counted = false;
  readonly entries: readonly MeterEntry[];
  readonly onHold: boolean;
  readonly totals: Readonly<Record<string, number>>;

  constructor(entries: readonly MeterEntry[], inTallies: readonly MeterEntry[], totals: Reservation['totals']) {
    this.entries = entries;
    this.inTallies = inTallies;
    this.onHold = inTallies.length < entries.length;
    this.totals = totals;
  }
}

interface Unwritten {
  readonly entries: readonly MeterEntry[];
  readonly at: EpochMs;
}

export class SqliteMeters implements MeterStore {
  readonly #rows: MeterRows;
  readonly #writer: SqliteWriter;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tallies = new Tallies();
  readonly #holds = new Map<string, HeldEntries>();
  readonly #byRequest = new Map<Digest, Map<string, HeldEntries>>();
  #unwritten: Unwritten[] = [];
  readonly #behind = new WriteBehind(() => this.#writeAll());

  constructor(rows: MeterRows, writer: SqliteWriter, clock: Clock, log: Logger) {
    this.#rows = rows;
    this.#writer = writer;
    this.#clock = clock;
    this.#log = log;
    for (const held of this.#rows.allReserved()) this.#hold(held);
    writer.subscribe((hold, before) => this.#holdChanged(hold, before));
  }

  reserve(meterings: readonly PlacedMetering[], own: OwnHold): Reservation {
    if (this.#unwritten.length > MOST_UNWRITTEN)
      throw new GatewayError('store_unavailable', 'Counts of meters cannot be written.');
    const entries = meterings.flatMap((metering) => metering.entries);
    const covered = new Set(this.#ownEntries(own).map(textOf));
    const added = entries.filter((entry) => !covered.has(textOf(entry)));
    const read = meterings.filter((metering) => metering.read);
    this.#tallies.add(added);
    try {
      return new SqliteReservation(entries, added, read.length === 0 ? {} : this.#totals(read));
    } catch (thrown) {
      this.#tallies.remove(added);
      throw thrown;
    }
  }

  giveBack(reservation: Reservation): void {
    const own = reservation as SqliteReservation;
    if (own.counted) return;
    this.#tallies.remove(own.inTallies);
    own.inTallies = [];
  }

  count(reservation: Reservation, all: boolean): undefined | Promise<void> {
    const own = reservation as SqliteReservation;
    if (own.counted) return undefined;
    own.counted = true;
    const entries = all ? own.entries : own.inTallies;
    if (entries.length === 0) return undefined;
    this.#tallies.remove(own.inTallies);
    this.#tallies.add(entries);
    const counts = { entries, at: this.#clock.now() };
    if (entries.some(({ strict }) => strict)) return this.#writeNow(counts);
    this.#unwritten.push(counts);
    this.#behind.schedule();
    return undefined;
  }

  stand(meter: Meter, scope: MeterScope, key: string): MeterStand {
    const [place = ''] = placesOf(meter, scope, [key]);
    const now = this.#clock.now();
    const { units, unknown, values } = this.#writer
      .read(() => this.#rows.counted([place], now, true))
      .get(place) as Counted;
    const tally = this.#tallies.at(place);
    if (meter.counts === 'values') {
      const all = this.#numberOf(place, values, tally.values, now);
      return defined({
        counted: unknown > 0 ? undefined : values,
        reserved: all === undefined || tally.unknown > 0 ? undefined : all - values,
      });
    }
    return defined({
      counted: unknown > 0 ? undefined : amountOf(units),
      reserved: tally.unknown > 0 ? undefined : amountOf(tally.units),
    });
  }

  /** Writes the counts that are still in memory only. */
  close(): Promise<void> {
    return this.#behind.close();
  }

  #totals(meterings: readonly PlacedMetering[]): Reservation['totals'] {
    const now = this.#clock.now();
    const places = meterings.flatMap(({ reads }) => reads);
    const values = meterings.some(({ meter }) => meter.counts === 'values');
    const counted = this.#writer.read(() => this.#rows.counted(places, now, values));
    const totals: Record<string, number> = {};
    for (const metering of meterings) {
      const total = this.#totalOf(metering, counted, now);
      if (total !== undefined) totals[metering.meter.name] = total;
    }
    return totals;
  }

  /** The largest over the places; undefined where one of them cannot be told, and where there is none. */
  #totalOf(
    { meter, reads, adds }: PlacedMetering,
    counted: ReadonlyMap<string, Counted>,
    now: EpochMs,
  ): number | undefined {
    if (adds?.kind === 'unknown') return undefined;
    let largest: number | undefined;
    for (const place of reads) {
      const { units, unknown, values } = counted.get(place) as Counted;
      const tally = this.#tallies.at(place);
      if (unknown + tally.unknown > 0) return undefined;
      const total =
        meter.counts === 'amounts' ? amountOf(units + tally.units) : this.#numberOf(place, values, tally.values, now);
      if (total === undefined) return undefined;
      largest = Math.max(largest ?? 0, total);
    }
    return largest;
  }

  #numberOf(place: string, counted: number, reserved: ReadonlyMap<string, number>, now: EpochMs): number | undefined {
    if (counted + reserved.size > MOST_VALUES) return undefined;
    if (reserved.size === 0) return counted;
    const known = this.#writer.read(() => this.#rows.known(place, [...reserved.keys()], now));
    return counted + reserved.size - known;
  }

  #ownEntries(own: OwnHold): readonly MeterEntry[] {
    if (own === 'none') return [];
    if ('holdId' in own) return this.#holds.get(own.holdId)?.entries ?? [];
    if (this.#holds.size === 0) return [];
    for (const held of this.#byRequest.get(own.requestDigest())?.values() ?? [])
      if (held.idempotencyKey === own.idempotencyKey) return held.entries;
    return [];
  }

  #hold(held: HeldEntries): void {
    if (held.entries.length === 0) return;
    // A hold whose count is unknown reserves nothing: nobody has let it pass yet.
    this.#tallies.add(held.entries.filter(({ adds }) => adds.kind !== 'unknown'));
    this.#holds.set(held.holdId, held);
    const same = this.#byRequest.get(held.requestDigest) ?? new Map<string, HeldEntries>();
    this.#byRequest.set(held.requestDigest, same.set(held.holdId, held));
  }

  /** Called once the change is on disk. A hold that is sent is counted there from now on. */
  #holdChanged(hold: Hold, before: HoldState | undefined): void {
    if (before === undefined) this.#hold(this.#rows.reservedBy(hold));
    else if (hold.state === 'SENT' || 'endedAt' in hold) {
      const held = this.#holds.get(hold.id);
      if (held === undefined) return;
      this.#tallies.remove(held.entries.filter(({ adds }) => adds.kind !== 'unknown'));
      this.#holds.delete(hold.id);
      const same = this.#byRequest.get(hold.requestDigest);
      if (same?.delete(hold.id) && same.size === 0) this.#byRequest.delete(hold.requestDigest);
    }
  }

  async #writeNow(counts: Unwritten): Promise<void> {
    try {
      await this.#writer.write(() => this.#write([counts]));
    } finally {
      // Not written means not sent.
      this.#tallies.remove(counts.entries);
    }
  }

  async #writeAll(): Promise<boolean> {
    while (this.#unwritten.length > 0) {
      const writing = this.#unwritten;
      this.#unwritten = [];
      try {
        await this.#writer.write(() => this.#write(writing));
        for (const { entries } of writing) this.#tallies.remove(entries);
      } catch (thrown) {
        this.#log.error('store.meters_unwritten', { counts: writing.length, error: asGatewayError(thrown).code });
        this.#unwritten = [...writing, ...this.#unwritten];
        return false;
      }
    }
    return true;
  }

  #write(counts: readonly Unwritten[]): void {
    for (const { entries, at } of counts) for (const entry of entries) this.#rows.count(entry, at);
    this.#rows.sweep(this.#clock.now());
  }
}

const textOf = ({ place, adds }: MeterEntry): string =>
  `${place} ${adds.kind === 'amount' ? adds.units : adds.kind === 'value' ? adds.digest : '?'}`;
