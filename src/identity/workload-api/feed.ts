// One stream of the Workload API kept open for good. Each message is the whole state: what it leaves out is revoked.
// PermissionDenied ends the use of what was received; InvalidArgument and Unimplemented end the stream for good;
// anything else is tried again with growing pauses, and what was received last is believed for a bounded time
// meanwhile.

import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { faultReason } from '../keys/key-fault.ts';
import { GRPC_STATUS, grpcStatusOf, type Stream } from './client.ts';

/** Milliseconds. */
export interface FeedTimes {
  /**
   * Before the first further attempt. Default 100 ms: SPIRE takes SVIDs away for a moment when an authority is tainted
   * in use.
   */
  readonly firstPauseMs: number;
  /** Between attempts at most, and never more than half of `staleMs`. Default 30 seconds. */
  readonly longestPauseMs: number;
  /** How long the last state is believed while the stream is down. Default 1 hour. */
  readonly staleMs: number;
  /** How long `start` waits for the first message. Default 5 seconds. */
  readonly startMs: number;
}

export const FEED_TIMES: FeedTimes = {
  firstPauseMs: 100,
  longestPauseMs: 30_000,
  staleMs: 60 * 60_000,
  startMs: 5_000,
};

export interface Feed<T> {
  /**
   * The state as the last message told it. Undefined before the first, after PermissionDenied, and when the stream has
   * been down for too long.
   */
  current(): T | undefined;
  /** When the state was last known to be the agent's: now, as long as the stream is open. */
  readonly confirmedAt: EpochMs | undefined;
  readonly lastError: string | undefined;
  /** Calls back after each change of `current()` that a message or a refusal brings; gives a function that stops it. */
  onChange(callback: () => void): () => void;
  /** Resolves after the first message or failure. */
  start(): Promise<void>;
  close(): void;
}

export interface FeedOptions<T> {
  /** For the log. */
  readonly name: string;
  readonly times: FeedTimes;
  open(): Stream;
  /** Reads a message; throws to refuse it. */
  read(message: unknown, previous: T | undefined): T;
}

/** Asking again cannot help: the agent does not know the method, or not the request. */
const FINAL: readonly number[] = [GRPC_STATUS.INVALID_ARGUMENT, GRPC_STATUS.UNIMPLEMENTED];

export function createFeed<T>(
  { name, times, open, read }: FeedOptions<T>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Feed<T> {
  const listeners = new Set<() => void>();
  let value: T | undefined;
  /** Since when there is no stream. */
  let downSince: EpochMs | undefined;
  let lastError: string | undefined;
  let failures = 0;
  let stream: Stream | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let settle = (): void => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  function current(): T | undefined {
    return downSince === undefined || clock.now() < downSince + times.staleMs ? value : undefined;
  }

  function connect(): void {
    const opened = open();
    stream = opened;
    opened.on('data', (message) => {
      if (stream === opened) take(message, opened);
    });
    opened.on('error', (error) => {
      if (stream === opened) fail(error);
    });
    opened.on('end', () => {
      if (stream === opened) fail(undefined);
    });
  }

  function take(message: unknown, opened: Stream): void {
    try {
      value = read(message, value);
    } catch (thrown) {
      opened.cancel();
      fail(thrown);
      return;
    }
    downSince = undefined;
    lastError = undefined;
    failures = 0;
    changed();
  }

  function fail(thrown: unknown): void {
    stream = undefined;
    if (closed) return;
    const status = grpcStatusOf(thrown);
    downSince ??= clock.now();
    failures += 1;
    lastError = thrown === undefined ? 'ended' : (status?.name ?? faultReason(thrown));
    log.warn('identity.workload_api.failed', { feed: name, reason: lastError, failures });
    if (status?.code === GRPC_STATUS.PERMISSION_DENIED) value = undefined;
    if (status !== undefined && FINAL.includes(status.code)) value = undefined;
    else retry();
    changed();
  }

  function retry(): void {
    const pause = Math.min(
      times.firstPauseMs * 2 ** Math.min(failures - 1, 16),
      times.longestPauseMs,
      times.staleMs / 2,
    );
    // Between half of it and all of it, so that the workloads of a host do not come back at once.
    timer = setTimeout(connect, pause * (0.5 + Math.random() / 2)).unref();
  }

  function changed(): void {
    settle();
    for (const listener of listeners) listener();
  }

  return {
    current,
    get confirmedAt() {
      return value === undefined ? undefined : (downSince ?? clock.now());
    },
    get lastError() {
      return lastError;
    },
    onChange(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    async start() {
      if (stream === undefined && !closed) connect();
      const patience = setTimeout(settle, times.startMs);
      await settled;
      clearTimeout(patience);
    },
    close() {
      closed = true;
      clearTimeout(timer);
      stream?.cancel();
      settle();
    },
  };
}
