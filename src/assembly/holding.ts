// What holds calls for people and keeps what is stored within its periods.

import { createApprovals } from '../approvals/approvals.ts';
import type { Approvals } from '../domain/approvals.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { startRetention } from '../store/retention-sweep.ts';
import type { Foundation } from './foundation.ts';
import type { LiveConfig } from './live-config.ts';
import type { Shutdown } from './shutdown.ts';

export function createHolding(foundation: Foundation, live: LiveConfig, shutdown: Shutdown): Approvals {
  const { audit, instance, log, metrics, store, tracing } = foundation;
  const approvals = createApprovals({
    ...{ audit, tracing, metrics, log, instance },
    store: store.holds,
    limits: () => live.config().limits,
    owners: (agentId) => live.config().identity.owners[agentId] ?? [],
    suspended: () => new Set(live.config().reviewers.suspended),
    refuseSuspended: (caller, taskId) => refuseSuspended(store.suspensions, caller, taskId),
  });
  shutdown.add(approvals.close);
  return approvals;
}

/** Deletes what the configured periods are over for, from now on. */
export function keepRetention({ audit, clock, log, store }: Foundation, live: LiveConfig, shutdown: Shutdown): void {
  const retention = startRetention({
    ...{ audit, clock, log },
    store: store.retention,
    periods: () => live.config().retention,
  });
  shutdown.add(retention.close);
  void retention.sweep();
}
