// Marks in SQLite: one row for each key and taint, read by one query and never from memory. Trusts the keys: steps/ makes
// them from the verified caller. A mark is on disk before `set` resolves.

import type { DatabaseSync } from 'node:sqlite';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { Mark, MarkCause, MarkKey, MarkScope, MarkStore, TaintKind } from '../domain/taint.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

const MEMBERS = 'scope, key, taint, since, until, cause';

export class SqliteMarks implements MarkStore {
  readonly #writer: SqliteWriter;
  readonly #clock: Clock;
  readonly #inForce;
  readonly #upsert;
  readonly #remove;

  constructor(db: DatabaseSync, writer: SqliteWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
    this.#inForce = db.prepare(
      `SELECT mark.* FROM json_each(?) AS wanted JOIN mark
       ON mark.scope = wanted.value ->> '$[0]' AND mark.key = wanted.value ->> '$[1]' WHERE until > ?`,
    );
    // In an upsert, a bare name is the value before.
    this.#upsert = db.prepare(
      `INSERT INTO mark (${MEMBERS}) VALUES (:scope, :key, :taint, :now, :until, :cause)
       ON CONFLICT DO UPDATE SET
         since = CASE WHEN until > :now THEN since ELSE excluded.since END,
         until = max(until, excluded.until),
         cause = excluded.cause
       RETURNING ${MEMBERS}`,
    );
    this.#remove = db.prepare(
      `DELETE FROM mark WHERE scope = ? AND key = ? AND taint = ? AND until > ? RETURNING ${MEMBERS}`,
    );
  }

  async on(keys: readonly MarkKey[]): Promise<readonly Mark[]> {
    return this.#writer.read(() => this.#read(keys, this.#clock.now()));
  }

  async set(keys: readonly MarkKey[], taints: readonly TaintKind[], cause: MarkCause): Promise<readonly Mark[]> {
    // Most calls find their marks there, and then nothing is written.
    if (dueOf(keys, taints, await this.on(keys), this.#clock.now()).length === 0) return [];
    return this.#writer.write(() => {
      const now = this.#clock.now();
      const known = this.#read(keys, now);
      return dueOf(keys, taints, known, now).map(({ scope, key, taint, forMs }) => {
        const before = known.find((mark) => mark.scope === scope && mark.key === key && mark.taint === taint);
        const row = { scope, key, taint, now, until: now + forMs, cause: JSON.stringify(joinedCause(before, cause)) };
        return parseMark(this.#upsert.get(row) ?? {});
      });
    });
  }

  lift({ scope, key }: MarkKey, taint: string): Promise<Mark | undefined> {
    return this.#writer.write(() => {
      const row = this.#remove.get(scope, key, taint, this.#clock.now());
      return row && parseMark(row);
    });
  }

  #read(keys: readonly MarkKey[], now: EpochMs): readonly Mark[] {
    return this.#inForce.all(JSON.stringify(keys.map(({ scope, key }) => [scope, key])), now).map(parseMark);
  }
}

/** The pairs of key and taint whose mark is not there, or has at most half of its time left. */
function dueOf(
  keys: readonly MarkKey[],
  taints: readonly TaintKind[],
  known: readonly Mark[],
  now: EpochMs,
): readonly (MarkKey & TaintKind)[] {
  const until = new Map(known.map((mark) => [placeOf(mark, mark.taint), mark.until]));
  return keys.flatMap((key) =>
    taints
      .filter(({ taint, forMs }) => (until.get(placeOf(key, taint)) ?? 0) - now <= forMs / 2)
      .map((kind) => ({ ...key, ...kind })),
  );
}

/** How many people's names one mark keeps. */
const MOST_NAMES = 200;

function joinedCause(before: Mark | undefined, cause: MarkCause): MarkCause {
  const chain = [...new Set([...cause.chain, ...(before?.cause.chain ?? [])])];
  return { ...cause, chain: chain.slice(0, MOST_NAMES) };
}

const placeOf = ({ scope, key }: MarkKey, taint: string): string => JSON.stringify([scope, key, taint]);

function parseMark(row: Record<string, unknown>): Mark {
  return {
    scope: String(row.scope) as MarkScope,
    key: String(row.key),
    taint: String(row.taint),
    since: Number(row.since),
    until: Number(row.until),
    cause: JSON.parse(String(row.cause)) as MarkCause,
  };
}
