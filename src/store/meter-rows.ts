// The rows of meters in SQLite: counts in buckets of the window, values with the time until which they count, and what
// open holds reserve. Runs inside the transactions of others. The rows of a place are bounded: a window has 60 buckets, and
// a place keeps 1,000 values. What comes beyond that makes the meter untellable, never smaller.

import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../domain/action.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import type { Addition, MeterEntry } from '../domain/meter.ts';

/** A count stays until its whole bucket has left the window: up to a sixtieth of the window too long, never too short. */
const BUCKETS = 60;
export const MOST_VALUES = 1_000;
/** Expired rows of other places that one writing deletes. */
const SWEPT = 100;

/** What is on disk for one place. */
export interface Counted {
  units: bigint;
  unknown: number;
  values: number;
}

/** A hold with what it reserves. */
export interface HeldEntries {
  readonly holdId: string;
  readonly requestDigest: Digest;
  readonly idempotencyKey: string | undefined;
  readonly entries: readonly MeterEntry[];
}

export class MeterRows {
  readonly #counts;
  readonly #values;
  readonly #known;
  readonly #bucket;
  readonly #putBucket;
  readonly #hasValue;
  readonly #countValues;
  readonly #putValue;
  readonly #sweep;
  readonly #reserve;
  readonly #reserved;
  readonly #unreserve;
  readonly #allReserved;

  constructor(db: DatabaseSync) {
    this.#counts = db.prepare(
      `SELECT meter_count.* FROM json_each(?) AS wanted JOIN meter_count ON place = wanted.value WHERE until > ?`,
    );
    this.#values = db.prepare(
      `SELECT place, count(*) AS n FROM json_each(?) AS wanted JOIN meter_value ON place = wanted.value
       WHERE until > ? GROUP BY place`,
    );
    this.#known = db.prepare(
      `SELECT count(*) AS n FROM json_each(?) AS wanted JOIN meter_value ON place = ? AND digest = wanted.value
       WHERE until > ?`,
    );
    this.#bucket = db.prepare('SELECT units, unknown FROM meter_count WHERE place = ? AND until = ?');
    this.#putBucket = db.prepare('INSERT OR REPLACE INTO meter_count VALUES (?, ?, ?, ?)');
    this.#hasValue = db.prepare('SELECT 1 FROM meter_value WHERE place = ? AND digest = ?');
    this.#countValues = db.prepare('SELECT count(*) AS n FROM meter_value WHERE place = ? AND until > ?');
    this.#putValue = db.prepare(
      'INSERT INTO meter_value VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)',
    );
    this.#sweep = [
      `DELETE FROM meter_count WHERE (place, until) IN (
         SELECT place, until FROM meter_count INDEXED BY meter_count_until WHERE until <= ? LIMIT ${SWEPT})`,
      `DELETE FROM meter_value WHERE (place, digest) IN (
         SELECT place, digest FROM meter_value INDEXED BY meter_value_until WHERE until <= ? LIMIT ${SWEPT})`,
    ].map((sql) => db.prepare(sql));
    this.#reserve = db.prepare('INSERT INTO meter_reservation VALUES (?, ?, ?, ?)');
    this.#reserved = db.prepare('SELECT place, window_ms, adds FROM meter_reservation WHERE hold_id = ?');
    this.#unreserve = db.prepare('DELETE FROM meter_reservation WHERE hold_id = ?');
    this.#allReserved = db.prepare(
      `SELECT hold_id, request_digest, idempotency_key, place, window_ms, adds
       FROM meter_reservation JOIN hold ON hold.id = hold_id ORDER BY hold_id`,
    );
  }

  /** Sums of amounts and numbers of values in the window, by place. */
  counted(places: readonly Digest[], now: EpochMs, values: boolean): ReadonlyMap<Digest, Counted> {
    const found = new Map(places.map((place): [Digest, Counted] => [place, { units: 0n, unknown: 0, values: 0 }]));
    const wanted = JSON.stringify(places);
    for (const row of this.#counts.all(wanted, now)) {
      const counted = found.get(String(row.place)) as Counted;
      counted.units += BigInt(String(row.units));
      counted.unknown += Number(row.unknown);
    }
    if (values)
      for (const row of this.#values.all(wanted, now)) (found.get(String(row.place)) as Counted).values = Number(row.n);
    return found;
  }

  /** How many of these values count in the place already. */
  known(place: Digest, values: readonly Digest[], now: EpochMs): number {
    return Number(this.#known.get(JSON.stringify(values), place, now)?.n);
  }

  count({ place, windowMs, adds }: MeterEntry, now: EpochMs): void {
    const until = untilOf(windowMs, now);
    if (adds.kind === 'value' && this.#hasRoom(place, adds.digest, now)) this.#putValue.run(place, adds.digest, until);
    else this.#addToBucket(place, until, adds);
  }

  sweep(now: EpochMs): void {
    for (const statement of this.#sweep) statement.run(now);
  }

  reserve(holdId: string, entries: readonly MeterEntry[]): void {
    for (const { place, windowMs, adds } of entries) this.#reserve.run(holdId, place, windowMs, formatAddition(adds));
  }

  /** What this hold reserves. */
  reservedBy(hold: Hold): HeldEntries {
    const entries = this.#reserved.all(hold.id).map(parseEntry);
    return { holdId: hold.id, requestDigest: hold.requestDigest, idempotencyKey: hold.idempotencyKey, entries };
  }

  /** The hold was sent: from now on it counts. */
  countReserved(holdId: string, now: EpochMs): void {
    for (const row of this.#reserved.all(holdId)) this.count(parseEntry(row), now);
    this.#unreserve.run(holdId);
  }

  /** The hold ended unsent. */
  giveBack(holdId: string): void {
    this.#unreserve.run(holdId);
  }

  /** What every open hold reserves, at the start of the gateway. */
  allReserved(): readonly HeldEntries[] {
    const byHold = new Map<string, HeldEntries & { readonly entries: MeterEntry[] }>();
    for (const row of this.#allReserved.all()) {
      const holdId = String(row.hold_id);
      const held = byHold.get(holdId) ?? {
        holdId,
        requestDigest: String(row.request_digest),
        idempotencyKey: row.idempotency_key === null ? undefined : String(row.idempotency_key),
        entries: [],
      };
      held.entries.push(parseEntry(row));
      byHold.set(holdId, held);
    }
    return [...byHold.values()];
  }

  #hasRoom(place: Digest, value: Digest, now: EpochMs): boolean {
    return this.#hasValue.get(place, value) !== undefined || Number(this.#countValues.get(place, now)?.n) < MOST_VALUES;
  }

  #addToBucket(place: Digest, until: EpochMs, adds: Addition): void {
    const row = this.#bucket.get(place, until);
    const units = BigInt(String(row?.units ?? 0)) + (adds.kind === 'amount' ? adds.units : 0n);
    const unknown = Number(row?.unknown ?? 0) + (adds.kind === 'amount' ? 0 : 1);
    this.#putBucket.run(place, until, String(units), unknown);
  }
}

/** When a count of now stops counting. */
function untilOf(windowMs: number, now: EpochMs): EpochMs {
  const bucketMs = Math.ceil(windowMs / BUCKETS);
  return (Math.floor(now / bucketMs) + 1) * bucketMs + windowMs;
}

const formatAddition = (adds: Addition): string =>
  JSON.stringify(adds.kind === 'amount' ? { ...adds, units: String(adds.units) } : adds);

function parseEntry(row: Record<string, unknown>): MeterEntry {
  const adds = JSON.parse(String(row.adds)) as Addition;
  return {
    place: String(row.place),
    windowMs: Number(row.window_ms),
    // A hold is counted in the transaction in which it is sent, whatever its meters say.
    strict: true,
    adds: adds.kind === 'amount' ? { kind: 'amount', units: BigInt(adds.units) } : adds,
  };
}
