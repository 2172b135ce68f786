// Approvals over a real SQLite file in a folder of their own, by a clock that the test moves. The audit log is an array,
// so that a test can read it and can make it fail.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createApprovals, type SweptApprovals } from '../../../src/approvals/approvals.ts';
import { closeHold } from '../../../src/approvals/closing.ts';
import type { ApprovalsOptions } from '../../../src/approvals/context.ts';
import type { AuditLog, AuditType } from '../../../src/domain/audit.ts';
import type { Clearance } from '../../../src/domain/clearance.ts';
import type { Hold } from '../../../src/domain/hold.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { type Logger, silentLog } from '../../../src/domain/log.ts';
import { refuseSuspended } from '../../../src/domain/suspension.ts';
import { openSqliteStore, type Store } from '../../../src/store/sqlite.ts';
import { GENEROUS, type ManualClock, manualClock, type RequestOptions, requestOf, reviewerOf, SPAN } from './values.ts';

export interface AuditEntry {
  readonly type: AuditType;
  readonly record: JsonObject;
}

export type BenchOptions = Partial<Pick<ApprovalsOptions, 'limits' | 'owners' | 'suspended' | 'instance'>>;

/** What one process would have open. */
interface Opened {
  readonly path: string;
  readonly clock: ManualClock;
  readonly asked: BenchOptions;
  /** How many benches have had the file open, with this one. */
  readonly generation: number;
  readonly store: Store;
  readonly approvals: SweptApprovals;
  readonly options: ApprovalsOptions;
  readonly audit: AuditEntry[];
  readonly ended: string[];
  readonly errors: string[];
  append: (entry: AuditEntry) => void | Promise<void>;
}

/** Approvals over one file at a time. What a test reads from it is always of what is open now. */
export class Bench {
  #opened: Opened | undefined;

  get #now(): Opened {
    if (this.#opened === undefined) throw new Error('The bench is closed.');
    return this.#opened;
  }
  get path(): string {
    return this.#now.path;
  }
  get clock(): ManualClock {
    return this.#now.clock;
  }
  get store(): Store {
    return this.#now.store;
  }
  get approvals(): SweptApprovals {
    return this.#now.approvals;
  }
  /** What `approvals` was made of, for a test that makes another. */
  get options(): ApprovalsOptions {
    return this.#now.options;
  }
  get audit(): AuditEntry[] {
    return this.#now.audit;
  }
  /** The states of holds whose end was counted. */
  get ended(): string[] {
    return this.#now.ended;
  }
  /** The events that were logged as errors. */
  get errors(): string[] {
    return this.#now.errors;
  }

  /** Opens a new file. */
  open(options: BenchOptions = {}, clock: ManualClock = manualClock()): void {
    this.openFile(join(mkdtempSync(join(tmpdir(), 'countersign-')), 'store', 'holds.db'), clock, options);
  }

  /** Opens a file that may be there already, by a clock that is past what its former process saw. */
  openFile(path: string, clock: ManualClock, asked: BenchOptions = {}, generation = 1): void {
    this.#opened = openApprovals(path, clock, asked, generation);
  }

  /** Replaces what the audit log does with each record. */
  onAppend(hook: (entry: AuditEntry) => void | Promise<void>): void {
    this.#now.append = hook;
  }

  /** Closes all and opens the same file again, as a new process would; `meanwhile` sees the closed file. */
  async restart(meanwhile?: (db: DatabaseSync) => void): Promise<void> {
    const { path, clock, asked, generation } = this.#now;
    await this.#shut();
    if (meanwhile !== undefined) {
      const db = new DatabaseSync(path);
      meanwhile(db);
      db.close();
    }
    this.openFile(path, clock, asked, generation + 1);
  }

  /** Removes the file, and starts with a new one. */
  async renew(options: BenchOptions): Promise<void> {
    await this.close();
    this.open(options);
  }

  /** Closes all and removes the file. */
  async close(): Promise<void> {
    const { path } = this.#now;
    await this.#shut();
    rmSync(join(path, '..', '..'), { recursive: true, force: true });
  }

  async #shut(): Promise<void> {
    const { approvals, store } = this.#now;
    this.#opened = undefined;
    approvals.close();
    await store.close();
  }
}

/** Approvals over a new file. */
export function openBench(options: BenchOptions = {}, clock: ManualClock = manualClock()): Bench {
  const bench = new Bench();
  bench.open(options, clock);
  return bench;
}

/** Approvals over a file that another bench has written. */
export function benchOn(path: string, clock: ManualClock, options: BenchOptions = {}): Bench {
  const bench = new Bench();
  bench.openFile(path, clock, options, 2);
  return bench;
}

function openApprovals(path: string, clock: ManualClock, asked: BenchOptions, generation: number): Opened {
  const errors: string[] = [];
  const log: Logger = { ...silentLog, error: (event) => errors.push(event) };
  const store = openSqliteStore({ path, clock, closeHold, log });
  const audit: AuditEntry[] = [];
  const ended: string[] = [];
  const auditLog: AuditLog = {
    async append(type, _time, record) {
      const entry = { type, record: typeof record === 'string' ? (JSON.parse(record) as JsonObject) : record };
      await opened.append(entry);
      return { seq: audit.push(entry) };
    },
    async close() {},
  };
  const options: ApprovalsOptions = {
    store: store.holds,
    audit: auditLog,
    tracing: { reviewed: () => SPAN },
    metrics: { holdEnded: (state) => ended.push(state), reviewed: () => {} },
    log,
    instance: `instance-${generation}`,
    limits: () => GENEROUS,
    owners: () => [],
    suspended: () => new Set(),
    refuseSuspended: (call) => refuseSuspended(store.suspensions, call),
    ...asked,
  };
  const approvals = createApprovals(options);
  const opened: Opened = {
    ...{ path, clock, asked, generation, store, approvals, options, audit, ended, errors },
    append: () => {},
  };
  return opened;
}

/** Sends a request that will not wait and gives the hold that it opened or attached to. */
export async function openHoldBy(bench: Bench, options: RequestOptions = {}): Promise<Hold> {
  let opened: Hold | undefined;
  const request = requestOf({ ...options, waitMs: 0, onHeld: (hold) => (opened = hold) });
  await bench.approvals.obtain(request).then(
    () => undefined,
    (thrown: unknown) => {
      if (opened === undefined) throw thrown;
    },
  );
  if (opened === undefined) throw new Error('the request entered no hold');
  return opened;
}

/** Starts a request that waits, and resolves once it does. */
export async function waiting(
  bench: Bench,
  options: RequestOptions = {},
): Promise<{ hold: Hold; result: Promise<Clearance> }> {
  const { promise: entered, resolve } = Promise.withResolvers<Hold>();
  const result = bench.approvals.obtain(requestOf({ waitMs: 60_000, ...options, onHeld: resolve }));
  result.catch(() => {});
  return { hold: await entered, result };
}

export function approve(bench: Bench, hold: Hold, reviewer = reviewerOf('alice')): Promise<Hold> {
  return bench.approvals.vote(hold.id, reviewer, { decision: 'approve', bindingDigest: hold.bindingDigest });
}

export function deny(bench: Bench, hold: Hold, reviewer = reviewerOf('bob')): Promise<Hold> {
  return bench.approvals.vote(hold.id, reviewer, { decision: 'deny', bindingDigest: hold.bindingDigest });
}
