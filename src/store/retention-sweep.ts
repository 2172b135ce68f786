// Runs retention: looks from time to time, deletes in batches with a turn of the event loop between them, and records
// how much was deleted.

import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { Deleted, RetentionStore } from '../domain/retention.ts';
import { asGatewayError } from '../errors.ts';

export interface RetentionPeriods {
  readonly holdsMs: number;
  readonly bodiesMs: number;
  readonly tasksMs: number;
}

export interface RetentionSweepOptions {
  readonly store: RetentionStore;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** As configured now. */
  periods(): RetentionPeriods;
}

export interface RetentionSweep {
  /** Deletes everything that ended long enough ago. Never rejects. */
  sweep(): Promise<void>;
  /** Ends with the batch in progress. */
  close(): Promise<void>;
}

const LONGEST_PAUSE_MS = 10 * 60_000;
const SHORTEST_PAUSE_MS = 1_000;

export function startRetention({ store, audit, clock, log, periods }: RetentionSweepOptions): RetentionSweep {
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> | undefined;
  let closed = false;

  async function deleteAll(): Promise<void> {
    const { holdsMs, bodiesMs, tasksMs } = periods();
    const now = clock.now();
    const before = { holds: now - holdsMs, bodies: now - bodiesMs, tasks: now - tasksMs };
    const total = { holds: 0, bodies: 0, tasks: 0, marks: 0, others: 0 };
    try {
      for (let more = true; more && !closed; ) {
        const deleted = await store.sweep(before);
        for (const kind of Object.keys(total) as (keyof Deleted)[]) total[kind] += deleted[kind];
        more = Object.values(deleted).some((count) => count > 0);
      }
    } finally {
      if (Object.values(total).some((count) => count > 0)) {
        log.info('retention.deleted', total);
        // The record has what is deleted already; this record says that it was deleted, and by which rule. If the
        // journal fails, calls stop by themselves.
        await audit
          .append('config', clock.now(), { event: 'retention', deleted: total, before }, 'soon')
          .catch(() => {});
      }
    }
  }

  function sweep(): Promise<void> {
    sweeping ??= deleteAll()
      .catch((thrown: unknown) => log.error('retention.failed', { error: asGatewayError(thrown).code }))
      .finally(() => {
        sweeping = undefined;
        schedule();
      });
    return sweeping;
  }

  function schedule(): void {
    clearTimeout(timer);
    const { holdsMs, bodiesMs, tasksMs } = periods();
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, Math.min(holdsMs, bodiesMs, tasksMs) / 4));
    if (!closed) timer = setTimeout(() => void sweep(), pause).unref();
  }

  schedule();
  return {
    sweep,
    async close() {
      closed = true;
      clearTimeout(timer);
      await sweeping;
    },
  };
}
