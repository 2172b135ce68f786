// What every other part stands on: the clock, telemetry, the store and the audit log. The store is opened first: a
// second gateway on the same store is refused here, before it writes into the record of the gateway that runs.

import { randomUUID } from 'node:crypto';
import { closeHold } from '../approvals/closing.ts';
import { type AuditJournal, openAuditLog } from '../audit/journal.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../domain/clock.ts';
import { defined } from '../domain/defined.ts';
import { createSteadyClock } from '../domain/steady-clock.ts';
import { countByKind } from '../domain/suspension.ts';
import { openSqliteStore, type Store } from '../store/sqlite.ts';
import { startTimeKeeper } from '../store/time-keeper.ts';
import { startTelemetry, type Telemetry } from '../telemetry/start.ts';
import { VERSION } from '../version.ts';
import type { Shutdown } from './shutdown.ts';

export interface Foundation extends Pick<Telemetry, 'log' | 'metrics' | 'tracing' | 'serveMetrics'> {
  /** Names this start of the gateway in records and telemetry. */
  readonly instance: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly audit: AuditJournal;
  /** False when the host's clock and the store's have come apart. */
  clockAgrees(): boolean;
}

export interface FoundationOptions {
  /** Where log lines go; default: standard output. */
  readonly logTo?: { write(line: string): void };
}

export async function openFoundation(
  config: Config,
  { logTo }: FoundationOptions,
  shutdown: Shutdown,
): Promise<Foundation> {
  const instance = randomUUID();
  const clock = createSteadyClock();
  const telemetry = startTelemetry({
    env: process.env,
    version: VERSION,
    ...{ instance, clock },
    scheme: agentScheme(config),
    ...defined({ destination: logTo }),
  });
  shutdown.add(telemetry.shutdown);
  const { log, metrics, tracing, serveMetrics } = telemetry;
  const store = openSqliteStore({ path: config.store.path, clock, closeHold, log });
  shutdown.add(store.close);
  clock.atLeast(store.lastTime);
  const time = startTimeKeeper(clock, store.time, log);
  shutdown.add(time.close);
  const audit = await openAuditLog({ ...config.audit, instance, clock, log, metrics });
  shutdown.add(audit.close);
  metrics.observeHolds(store.holds.counts);
  metrics.observeSuspensions(() => countByKind(store.suspensions.list()));
  shutdown.add(store.holds.subscribe(tracing.holdChanged));
  return { instance, clock, log, metrics, tracing, serveMetrics, store, audit, clockAgrees: time.agrees };
}

/** The scheme under which agents call. */
export function agentScheme({ listeners }: Config): 'http' | 'https' {
  return listeners.agents.tls === undefined ? 'http' : 'https';
}
