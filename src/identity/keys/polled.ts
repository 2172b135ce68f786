// A document that is fetched again and again from an issuer: keys, or a bundle. However many tokens arrive, the source
// is asked at most once per minimum interval. An unknown key causes one fetch per 30 seconds at most, unless the last
// fetch brought something new. The last good document outlives a failing source for a bounded time.

import { hash } from 'node:crypto';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import { faultReason } from './key-fault.ts';
import type { Refreshed } from './refreshed.ts';

export interface RefreshTimes {
  /** From one good fetch to the next, where the source does not say how long. Default 5 minutes. */
  readonly refreshMs: number;
  /** Between any two fetches, successful or not. Default 5 seconds. */
  readonly minIntervalMs: number;
  /** Between two fetches that unknown keys asked for. Default 30 seconds. */
  readonly unknownKeyIntervalMs: number;
  /** How long keys are believed after they were last fetched. Default 1 hour. */
  readonly staleMs: number;
  /** For one request, to the end of its answer. Default 5 seconds. */
  readonly timeoutMs: number;
}

export const REFRESH_TIMES: RefreshTimes = {
  refreshMs: 5 * 60_000,
  minIntervalMs: 5_000,
  unknownKeyIntervalMs: 30_000,
  staleMs: 60 * 60_000,
  timeoutMs: 5_000,
};

export interface PolledOptions<T> {
  /** The issuer entry's name, for the log. */
  readonly name: string;
  readonly times: RefreshTimes;
  /** Fetches the document once. */
  load(signal: AbortSignal): Promise<Json>;
  /** Reads what was fetched; throws to refuse it. `previous` is what is in force. */
  read(document: Json, previous: T | undefined): T;
  /** How many keys and authorities that is, for the log. */
  count(value: T): number;
  /** When the source wants to be asked again. */
  refreshMs?(value: T): number | undefined;
}

export class Polled<T> implements Refreshed<T> {
  readonly #options: PolledOptions<T>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  #value: T | undefined;
  #digest: string | undefined;
  #fetchedAt: EpochMs | undefined;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #unknownKeyAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #lastError: string | undefined;
  /** Whether the last good fetch brought another document than the one before. */
  #broughtNews = false;
  #inFlight: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PolledOptions<T>, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  get fetchedAt(): EpochMs | undefined {
    return this.#fetchedAt;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  current(): T | undefined {
    const { staleMs } = this.#options.times;
    return this.#fetchedAt !== undefined && this.#clock.now() < this.#fetchedAt + staleMs ? this.#value : undefined;
  }

  async renew(): Promise<T | undefined> {
    if (this.#inFlight === undefined) {
      const { minIntervalMs, unknownKeyIntervalMs } = this.#options.times;
      const now = this.#clock.now();
      if (now < this.#attemptedAt + minIntervalMs) return this.current();
      if (this.current() !== undefined) {
        // A source that has just changed may change again at once; one that did not is left alone.
        if (!this.#broughtNews && now < this.#unknownKeyAt + unknownKeyIntervalMs) return this.current();
        this.#unknownKeyAt = now;
      }
    }
    await this.start();
    return this.current();
  }

  heldBackMs(): number {
    if (!this.#broughtNews || this.#inFlight !== undefined) return 0;
    return Math.max(0, this.#attemptedAt + this.#options.times.minIntervalMs - this.#clock.now());
  }

  /** One fetch at a time: whoever asks during a fetch waits for that one. */
  start(): Promise<void> {
    this.#inFlight ??= this.#fetchOnce().finally(() => {
      this.#inFlight = undefined;
      this.#schedule();
    });
    return this.#inFlight;
  }

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  async #fetchOnce(): Promise<void> {
    const { name, load, count } = this.#options;
    this.#attemptedAt = this.#clock.now();
    try {
      this.#adopt(await load(this.#closing.signal));
      this.#failures = 0;
      this.#lastError = undefined;
    } catch (thrown) {
      if (this.#closing.signal.aborted) return;
      this.#failures += 1;
      this.#lastError = faultReason(thrown);
      const inForce = this.current();
      this.#log.warn('identity.keys.failed', {
        issuer: name,
        reason: this.#lastError,
        failures: this.#failures,
        keys: inForce === undefined ? 0 : count(inForce),
      });
    }
  }

  #adopt(document: Json): void {
    const { name, read, count } = this.#options;
    const next = read(document, this.#value);
    const digest = hash('sha256', JSON.stringify(document), 'base64');
    this.#fetchedAt = this.#clock.now();
    this.#broughtNews = this.#value !== undefined && this.#digest !== digest;
    if (this.#value !== undefined && !this.#broughtNews) return;
    this.#value = next;
    this.#digest = digest;
    this.#log.info('identity.keys.changed', { issuer: name, keys: count(next) });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closing.signal.aborted) return;
    const { times, refreshMs: wishOf } = this.#options;
    const wanted = this.#value === undefined ? undefined : wishOf?.(this.#value);
    // At least two fetches while the last answer is good, so that one lost fetch does no harm.
    const refreshMs = Math.min(
      wanted === undefined ? times.refreshMs : Math.max(wanted, times.minIntervalMs),
      times.staleMs / 2,
    );
    const backoffMs = times.minIntervalMs * 2 ** Math.min(this.#failures - 1, 16);
    const delayMs = this.#failures === 0 ? refreshMs : Math.min(backoffMs, refreshMs);
    this.#timer = setTimeout(() => this.start(), delayMs).unref();
  }
}
