// Between the SDK and OTLP: counts what is lost, so that losses are visible, and keeps export faults away from calls.
// The batch processors of the SDK drop silently when their queue is full, and lose a batch whose export failed.
// Failures are logged when they begin and when they end, not once per batch.

import type { Counter } from '@opentelemetry/api';
import type { BatchLogRecordProcessor, LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { BatchSpanProcessor, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger } from '../domain/log.ts';
import type { Signal } from './environment.ts';
import { ATTR } from './names.ts';

/** The part of every OTLP exporter that is watched. */
interface Exporter<T> {
  export(items: T, done: (result: { code: number; error?: Error }) => void): void;
}

/** What one signal lost and why. */
export interface Losses {
  /** False when the queue is full: the item is counted as dropped and must not be passed on. */
  enqueue(): boolean;
  /** Watches an exporter in place: everything it takes leaves the queue, and what it cannot deliver is counted. */
  watch<T>(exporter: Exporter<T>, count: (items: T) => number): void;
}

export interface LossOptions {
  readonly signal: Signal;
  readonly maxQueueSize: number;
  readonly dropped: Counter;
  readonly failures: Counter;
  readonly log: Logger;
}

export function countLosses({ signal, maxQueueSize, dropped, failures, log }: LossOptions): Losses {
  const full = { [ATTR.signal]: signal, [ATTR.reason]: 'queue_full' };
  const lost = { [ATTR.signal]: signal, [ATTR.reason]: 'export_failed' };
  const failed = { [ATTR.signal]: signal };
  let queued = 0;
  let failing = false;

  const settle = (count: number, error: Error | undefined): void => {
    if (error === undefined) {
      if (failing) log.info('telemetry.export_recovered', { signal });
      failing = false;
      return;
    }
    if (count > 0) dropped.add(count, lost);
    failures.add(1, failed);
    if (!failing) log.warn('telemetry.export_failed', { signal, error });
    failing = true;
  };

  return {
    enqueue() {
      if (queued >= maxQueueSize) {
        dropped.add(1, full);
        return false;
      }
      queued += 1;
      return true;
    },
    watch(exporter, count) {
      const send = exporter.export.bind(exporter);
      exporter.export = (items, done) => {
        const taken = count(items);
        queued = Math.max(0, queued - taken);
        send(items, (result) => {
          settle(taken, result.code === 0 ? undefined : (result.error ?? new Error('export failed')));
          done(result);
        });
      };
    },
  };
}

/** A span processor that counts what its queue has no room for. */
export function guardSpans(batch: BatchSpanProcessor, losses: Losses): SpanProcessor {
  return {
    onStart() {},
    onEnd(span) {
      if (losses.enqueue()) batch.onEnd(span);
    },
    forceFlush: () => batch.forceFlush(),
    shutdown: () => batch.shutdown(),
  };
}

/** The same for log records, whose own processor does not even warn. */
export function guardLogs(batch: BatchLogRecordProcessor, losses: Losses): LogRecordProcessor {
  return {
    onEmit(record) {
      if (losses.enqueue()) batch.onEmit(record);
    },
    forceFlush: () => batch.forceFlush(),
    shutdown: () => batch.shutdown(),
  };
}
