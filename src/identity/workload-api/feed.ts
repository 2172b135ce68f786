// One stream of the Workload API that is kept open. Each message is the whole state: what it leaves out is revoked.
// PermissionDenied ends the use of the state. InvalidArgument and Unimplemented end the stream for good. After any
// other failure the stream is opened again, with growing pauses; meanwhile the last state is believed for a bounded
// time.

import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { faultReason } from '../keys/key-fault.ts';
import { GRPC_STATUS, grpcStatusOf, type Stream } from './client.ts';

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

export class Feed<T> {
  readonly #options: FeedOptions<T>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #settled = Promise.withResolvers<void>();
  #value: T | undefined;
  /** Since when there is no stream. */
  #downSince: EpochMs | undefined;
  #lastError: string | undefined;
  #failures = 0;
  #stream: Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: FeedOptions<T>, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  /** When the state was last known to be the agent's: now, as long as the stream is open. */
  get confirmedAt(): EpochMs | undefined {
    return this.#value === undefined ? undefined : (this.#downSince ?? this.#clock.now());
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  /**
   * The state as the last message told it. Undefined before the first, after PermissionDenied, and when the stream has
   * been down for too long.
   */
  current(): T | undefined {
    const { staleMs } = this.#options.times;
    return this.#downSince === undefined || this.#clock.now() < this.#downSince + staleMs ? this.#value : undefined;
  }

  /** Calls back after each change of `current()` that a message or a refusal brings; gives a function that stops it. */
  onChange(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  /** Resolves after the first message or failure. */
  async start(): Promise<void> {
    if (this.#stream === undefined && !this.#closed) this.#connect();
    const patience = setTimeout(this.#settled.resolve, this.#options.times.startMs);
    await this.#settled.promise;
    clearTimeout(patience);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#settled.resolve();
  }

  #connect(): void {
    const opened = this.#options.open();
    this.#stream = opened;
    opened.on('data', (message) => {
      if (this.#stream === opened) this.#take(message, opened);
    });
    opened.on('error', (error) => {
      if (this.#stream === opened) this.#fail(error);
    });
    opened.on('end', () => {
      if (this.#stream === opened) this.#fail(undefined);
    });
  }

  #take(message: unknown, opened: Stream): void {
    try {
      this.#value = this.#options.read(message, this.#value);
    } catch (thrown) {
      opened.cancel();
      this.#fail(thrown);
      return;
    }
    this.#downSince = undefined;
    this.#lastError = undefined;
    this.#failures = 0;
    this.#changed();
  }

  #fail(thrown: unknown): void {
    this.#stream = undefined;
    if (this.#closed) return;
    const status = grpcStatusOf(thrown);
    this.#downSince ??= this.#clock.now();
    this.#failures += 1;
    this.#lastError = thrown === undefined ? 'ended' : (status?.name ?? faultReason(thrown));
    const { name } = this.#options;
    this.#log.warn('identity.workload_api.failed', { feed: name, reason: this.#lastError, failures: this.#failures });
    if (status?.code === GRPC_STATUS.PERMISSION_DENIED) this.#value = undefined;
    if (status !== undefined && FINAL.includes(status.code)) this.#value = undefined;
    else this.#retry();
    this.#changed();
  }

  #retry(): void {
    const { firstPauseMs, longestPauseMs, staleMs } = this.#options.times;
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(this.#failures - 1, 16), longestPauseMs, staleMs / 2);
    // Between half of it and all of it, so that the workloads of a host do not come back at once.
    this.#timer = setTimeout(() => this.#connect(), pauseMs * (0.5 + Math.random() / 2)).unref();
  }

  #changed(): void {
    this.#settled.resolve();
    for (const listener of this.#listeners) listener();
  }
}
