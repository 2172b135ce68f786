// What is reserved in meters, in memory: by calls under way, by open holds, and by counts that are not on disk yet.

import type { Digest } from '../domain/action.ts';
import type { MeterEntry } from '../domain/meter.ts';

/** What is reserved in one place. */
class Tally {
  units = 0n;
  unknown = 0;
  readonly values = new Map<Digest, number>();

  change({ adds }: MeterEntry, by: 1 | -1): void {
    if (adds.kind === 'amount') this.units += BigInt(by) * adds.units;
    else if (adds.kind === 'unknown') this.unknown += by;
    else {
      const times = (this.values.get(adds.digest) ?? 0) + by;
      if (times > 0) this.values.set(adds.digest, times);
      else this.values.delete(adds.digest);
    }
  }

  get empty(): boolean {
    return this.units === 0n && this.unknown === 0 && this.values.size === 0;
  }
}

export type ReadonlyTally = Pick<Tally, 'units' | 'unknown'> & { readonly values: ReadonlyMap<Digest, number> };

const NOTHING: ReadonlyTally = { units: 0n, unknown: 0, values: new Map() };

export class Tallies {
  readonly #byPlace = new Map<Digest, Tally>();

  at(place: Digest): ReadonlyTally {
    return this.#byPlace.get(place) ?? NOTHING;
  }

  add(entries: readonly MeterEntry[]): void {
    for (const entry of entries) {
      const tally = this.#byPlace.get(entry.place) ?? new Tally();
      tally.change(entry, 1);
      this.#byPlace.set(entry.place, tally);
    }
  }

  remove(entries: readonly MeterEntry[]): void {
    for (const entry of entries) {
      const tally = this.#byPlace.get(entry.place);
      tally?.change(entry, -1);
      if (tally?.empty) this.#byPlace.delete(entry.place);
    }
  }
}
