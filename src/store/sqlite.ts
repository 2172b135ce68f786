// The SQLite store: the durable ports over one file, one connection and one group-committing writer.
// Trusts the injected clock as the store's clock: it alone decides deadlines.

import { dirname } from 'node:path';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { CredentialLedger } from '../domain/credential.ts';
import type { CloseHold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Logger } from '../domain/log.ts';
import type { MeterStore } from '../domain/meter.ts';
import type { NotificationOutbox } from '../domain/notification.ts';
import type { NoveltyStore } from '../domain/novelty.ts';
import type { OnceStore } from '../domain/once.ts';
import type { PasskeyStore } from '../domain/passkey.ts';
import type { RetentionStore } from '../domain/retention.ts';
import type { SeenAgents } from '../domain/seen-agents.ts';
import type { SuspensionStore } from '../domain/suspension.ts';
import type { MarkStore } from '../domain/taint.ts';
import type { TaskStore } from '../domain/task.ts';
import type { ToolPinStore } from '../domain/tool-pin.ts';
import type { ViolationStore } from '../domain/violation.ts';
import type { WatchStore } from '../domain/watch.ts';
import { MeterRows } from './meter-rows.ts';
import { createContentRows } from './sqlite-contents.ts';
import { createCredentialLedger } from './sqlite-credentials.ts';
import { openDatabase, watchDatabase } from './sqlite-file.ts';
import { createHoldRows, createHoldStore } from './sqlite-holds.ts';
import { SqliteMarks } from './sqlite-marks.ts';
import { SqliteMeters } from './sqlite-meters.ts';
import { createNotificationRows, createOutbox } from './sqlite-notifications.ts';
import { SqliteNovelty } from './sqlite-novelty.ts';
import { createOnceStore } from './sqlite-once.ts';
import { createPasskeyStore } from './sqlite-passkeys.ts';
import { createRetention } from './sqlite-retention.ts';
import { createSeenAgents } from './sqlite-seen-agents.ts';
import { createSuspensionStore } from './sqlite-suspensions.ts';
import { SqliteTasks } from './sqlite-tasks.ts';
import { createToolPinStore } from './sqlite-tool-pins.ts';
import { createUsageRows } from './sqlite-usage.ts';
import { createViolationStore } from './sqlite-violations.ts';
import { createVoteRows } from './sqlite-votes.ts';
import { createWatchStore } from './sqlite-watch.ts';
import { createWriter } from './sqlite-writer.ts';
import type { KeptTime } from './time-keeper.ts';

export interface SqliteStoreOptions {
  /** The database file; its folder is made when missing. */
  readonly path: string;
  readonly clock: Clock;
  readonly closeHold: CloseHold;
  readonly log: Logger;
}

/** What every store offers, whatever database it uses. */
export interface Store {
  readonly holds: HoldStore;
  readonly tasks: TaskStore;
  readonly marks: MarkStore;
  readonly meters: MeterStore;
  readonly novelty: NoveltyStore;
  readonly credentials: CredentialLedger;
  readonly notifications: NotificationOutbox;
  readonly suspensions: SuspensionStore;
  readonly agents: SeenAgents;
  readonly violations: ViolationStore;
  readonly watch: WatchStore;
  readonly toolPins: ToolPinStore;
  readonly passkeys: PasskeyStore;
  readonly once: OnceStore;
  readonly retention: RetentionStore;
  /**
   * The latest time that this store has seen, when it was opened. The caller must give the store a clock that goes on
   * from there.
   */
  readonly lastTime: EpochMs;
  readonly time: KeptTime;
  /** For /readyz. Throws `store_unavailable`. */
  check(): void;
  /** Writes what is still in memory, then closes. Later calls throw `store_unavailable`. */
  close(): Promise<void>;
}

/**
 * Throws `store_unavailable` when the file cannot be opened, is another program's, is too new, or is open in another
 * process.
 */
export function openSqliteStore({ path, clock, closeHold, log }: SqliteStoreOptions): Store {
  const db = openDatabase(path);
  const seen = db.prepare('UPDATE clock SET last = max(last, ?)');
  const writer = createWriter(db, log, { isIntact: watchDatabase(path), stamp: () => void seen.run(clock.now()) });
  const anyOpen = db.prepare("SELECT 1 FROM hold WHERE state IN ('PENDING', 'APPROVED') LIMIT 1");
  const notifications = createNotificationRows(db, clock);
  const votes = createVoteRows(db);
  const contents = createContentRows(db);
  const usage = createUsageRows(db);
  const meterRows = new MeterRows(db);
  const rows = createHoldRows(db, contents, notifications, votes, meterRows);
  const novelty = new SqliteNovelty(db, writer, clock, log);
  const meters = new SqliteMeters(meterRows, writer, clock, log);
  const tasks = new SqliteTasks(db, writer, { holds: rows, usage, closeHold }, clock, log);
  const suspensions = createSuspensionStore(db, writer, rows, closeHold, clock);
  const agents = createSeenAgents(db, writer, { clock, log, folder: dirname(path), learned: suspensions.learn });
  return {
    holds: createHoldStore(db, writer, { rows, contents, votes, usage }, clock),
    tasks,
    marks: new SqliteMarks(db, writer, clock),
    meters,
    novelty,
    credentials: createCredentialLedger(db, writer),
    notifications: createOutbox(db, writer, clock),
    suspensions,
    agents,
    violations: createViolationStore(db, writer, notifications, clock),
    watch: createWatchStore(db, writer, notifications, clock),
    toolPins: createToolPinStore(db, writer),
    passkeys: createPasskeyStore(db, writer),
    once: createOnceStore(db, writer, clock),
    retention: createRetention(db, writer, clock),
    lastTime: Number(db.prepare('SELECT last FROM clock').get()?.last),
    time: {
      async keep(always) {
        if (always || writer.read(() => anyOpen.get()) !== undefined) await writer.write(() => {});
      },
    },
    check: () => writer.check(),
    async close() {
      await Promise.all([tasks.close(), meters.close(), novelty.close(), agents.close()]);
      await writer.close();
    },
  };
}
