// What agents have done, in SQLite: one row for each agent key and operation, and one more for each target. Written behind,
// within a second; what is not on disk yet is read from memory. An agent has a bounded number of rows: what does not fit
// stays new.

import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { KnownOperation, Novelty, NoveltyStore, Recognisable } from '../domain/novelty.ts';
import { asGatewayError } from '../errors.ts';
import type { SqliteWriter } from './sqlite-writer.ts';
import { WriteBehind } from './write-behind.ts';

export const MOST_OF_AGENT = 2_000;
/** When more than this many rows are unwritten (the disk is failing), nothing further is learnt. */
const MOST_UNWRITTEN = 10_000;
/** A row is written again when it has lost this part of its window. */
const RENEW_PART = 1 / 90;
const REMEMBERED = 10_000;
const SWEPT = 100;

interface Row {
  readonly agentKey: string;
  readonly operation: string;
  /** Empty for the operation itself. */
  readonly target: string;
  readonly until: EpochMs;
}

const keyOf = (agentKey: string, operation: string, target: string): string =>
  JSON.stringify([agentKey, operation, target]);

export class SqliteNovelty implements NoveltyStore {
  readonly #writer: SqliteWriter;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #find;
  readonly #any;
  readonly #has;
  readonly #count;
  readonly #put;
  readonly #latest;
  readonly #sweep;
  /** What was recorded lately, and until when: it is not written again. */
  readonly #recent = new LRUCache<string, EpochMs>({ max: REMEMBERED });
  /** Not on disk yet. */
  #unwritten = new Map<string, Row>();
  readonly #behind = new WriteBehind(() => this.#writeAll());

  constructor(db: DatabaseSync, writer: SqliteWriter, clock: Clock, log: Logger) {
    this.#writer = writer;
    this.#clock = clock;
    this.#log = log;
    this.#find = db.prepare(
      `SELECT operation, target FROM json_each(?) AS wanted JOIN novelty
       ON agent_key = ? AND operation = wanted.value ->> '$[0]' AND target = wanted.value ->> '$[1]' WHERE until > ?`,
    );
    this.#any = db.prepare('SELECT 1 FROM novelty WHERE agent_key = ? AND until > ? LIMIT 1');
    this.#has = db.prepare('SELECT 1 FROM novelty WHERE agent_key = ? AND operation = ? AND target = ?');
    this.#count = db.prepare('SELECT count(*) AS n FROM novelty WHERE agent_key = ?');
    this.#put = db.prepare(
      'INSERT INTO novelty VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)',
    );
    this.#latest = db.prepare(
      'SELECT operation, target, until FROM novelty WHERE agent_key = ? AND until > ? ORDER BY until DESC LIMIT ?',
    );
    this.#sweep = db.prepare(
      `DELETE FROM novelty WHERE (agent_key, operation, target) IN (
         SELECT agent_key, operation, target FROM novelty INDEXED BY novelty_until WHERE until <= ? LIMIT ${SWEPT})`,
    );
  }

  of(agentKey: string, { operations, targets }: Recognisable): Novelty {
    const now = this.#clock.now();
    const wanted = operations.flatMap((operation) => ['', ...(targets ?? [])].map((target) => [operation, target]));
    const known = new Set(
      this.#writer.read(() =>
        this.#find
          .all(JSON.stringify(wanted), agentKey, now)
          .map((row) => keyOf(agentKey, String(row.operation), String(row.target))),
      ),
    );
    const isKnown = (operation: string, target: string): boolean => {
      const key = keyOf(agentKey, operation, target);
      return known.has(key) || this.#unwritten.has(key);
    };
    return {
      operation: !operations.every((operation) => isKnown(operation, '')),
      destination:
        targets === undefined || !operations.every((each) => targets.every((target) => isKnown(each, target))),
      agent: known.size === 0 && !this.#isKnownAgent(agentKey, now),
    };
  }

  record(agentKey: string, { operations, targets = [] }: Recognisable, windowMs: number): void {
    const now = this.#clock.now();
    for (const operation of operations)
      for (const target of ['', ...targets]) {
        const key = keyOf(agentKey, operation, target);
        const until = now + windowMs;
        if ((this.#recent.get(key) ?? 0) > until - windowMs * RENEW_PART) continue;
        if (this.#unwritten.size >= MOST_UNWRITTEN) return;
        this.#recent.set(key, until);
        this.#unwritten.set(key, { agentKey, operation, target, until });
        this.#behind.schedule();
      }
  }

  known(agentKey: string, most: number): readonly KnownOperation[] {
    const rows = this.#writer.read(() => this.#latest.all(agentKey, this.#clock.now(), most));
    return rows.map(({ operation, target, until }) => ({
      operation: String(operation),
      ...(target !== '' && { target: String(target) }),
      until: Number(until),
    }));
  }

  /** Writes what is still in memory only. */
  close(): Promise<void> {
    return this.#behind.close();
  }

  #isKnownAgent(agentKey: string, now: EpochMs): boolean {
    for (const row of this.#unwritten.values()) if (row.agentKey === agentKey) return true;
    return this.#writer.read(() => this.#any.get(agentKey, now)) !== undefined;
  }

  async #writeAll(): Promise<boolean> {
    while (this.#unwritten.size > 0) {
      const rows = [...this.#unwritten];
      try {
        await this.#writer.write(() => this.#write(rows.map(([, row]) => row)));
      } catch (thrown) {
        this.#log.error('store.novelty_unwritten', { rows: rows.length, error: asGatewayError(thrown).code });
        return false;
      }
      for (const [key, row] of rows) if (this.#unwritten.get(key) === row) this.#unwritten.delete(key);
    }
    return true;
  }

  #write(rows: readonly Row[]): void {
    this.#sweep.run(this.#clock.now());
    for (const { agentKey, operation, target, until } of rows) {
      const fits =
        this.#has.get(agentKey, operation, target) !== undefined ||
        Number(this.#count.get(agentKey)?.n) < MOST_OF_AGENT;
      if (fits) this.#put.run(agentKey, operation, target, until);
    }
  }
}
