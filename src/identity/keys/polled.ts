// Something fetched again and again from an issuer: keys, or a bundle. However many tokens arrive, the source is asked
// at most once per minimum interval, after successes and failures alike, and because of an unknown key at most once per
// 30 seconds, unless the last fetch brought something new. What was fetched outlives a failing source for a bounded
// time.

import { hash } from 'node:crypto';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import { faultReason } from './key-fault.ts';

/** Milliseconds. */
export interface RefreshTimes {
  /** From one good fetch to the next, where the source does not say how long. Default 5 minutes. */
  readonly refreshMs: number;
  /** Between any two fetches, whatever came of them and whoever asks. Default 5 seconds. */
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
  /** One fetch. */
  load(signal: AbortSignal): Promise<Json>;
  /** Reads what was fetched; throws to refuse it. `previous` is what is in force. */
  read(document: Json, previous: T | undefined): T;
  /** How many keys and authorities that is, for the log. */
  count(value: T): number;
  /** When the source wants to be asked again, ms. */
  refreshMs?(value: T): number | undefined;
}

export interface Polled<T> {
  /** The same object as long as the document is the same. */
  current(): T | undefined;
  renew(): Promise<T | undefined>;
  /** As in KeyLookup. */
  heldBackMs(): number;
  readonly fetchedAt: EpochMs | undefined;
  readonly lastError: string | undefined;
  start(): Promise<void>;
  close(): void;
}

export function createPolled<T>(
  options: PolledOptions<T>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Polled<T> {
  const { name, times } = options;
  const closing = new AbortController();
  let value: T | undefined;
  let digest: string | undefined;
  let fetchedAt: EpochMs | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let unknownKeyAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let lastError: string | undefined;
  /** Whether the last good fetch brought another document than the one before. */
  let broughtNews = false;
  let inFlight: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function current(): T | undefined {
    return fetchedAt !== undefined && clock.now() < fetchedAt + times.staleMs ? value : undefined;
  }

  async function renew(): Promise<T | undefined> {
    if (inFlight === undefined) {
      const now = clock.now();
      if (now < attemptedAt + times.minIntervalMs) return current();
      if (current() !== undefined) {
        // A source that has just changed may change again at once; one that did not is left alone.
        if (!broughtNews && now < unknownKeyAt + times.unknownKeyIntervalMs) return current();
        unknownKeyAt = now;
      }
    }
    await attempt();
    return current();
  }

  function heldBackMs(): number {
    return broughtNews && inFlight === undefined ? Math.max(0, attemptedAt + times.minIntervalMs - clock.now()) : 0;
  }

  function attempt(): Promise<void> {
    inFlight ??= fetchOnce().finally(() => {
      inFlight = undefined;
      schedule();
    });
    return inFlight;
  }

  async function fetchOnce(): Promise<void> {
    attemptedAt = clock.now();
    try {
      adopt(await options.load(closing.signal));
      failures = 0;
      lastError = undefined;
    } catch (thrown) {
      if (closing.signal.aborted) return;
      failures += 1;
      lastError = faultReason(thrown);
      const inForce = current();
      log.warn('identity.keys.failed', {
        issuer: name,
        reason: lastError,
        failures,
        keys: inForce === undefined ? 0 : options.count(inForce),
      });
    }
  }

  function adopt(document: Json): void {
    const next = options.read(document, value);
    const nextDigest = hash('sha256', JSON.stringify(document), 'base64');
    fetchedAt = clock.now();
    broughtNews = value !== undefined && digest !== nextDigest;
    if (value !== undefined && !broughtNews) return;
    value = next;
    digest = nextDigest;
    log.info('identity.keys.changed', { issuer: name, keys: options.count(next) });
  }

  function schedule(): void {
    clearTimeout(timer);
    if (closing.signal.aborted) return;
    const wanted = value === undefined ? undefined : options.refreshMs?.(value);
    // At least twice in the time that the last answer is good for, so that one that is lost does no harm.
    const refreshMs = Math.min(
      wanted === undefined ? times.refreshMs : Math.max(wanted, times.minIntervalMs),
      times.staleMs / 2,
    );
    const delayMs =
      failures === 0 ? refreshMs : Math.min(times.minIntervalMs * 2 ** Math.min(failures - 1, 16), refreshMs);
    timer = setTimeout(attempt, delayMs).unref();
  }

  return {
    current,
    renew,
    heldBackMs,
    get fetchedAt() {
      return fetchedAt;
    },
    get lastError() {
      return lastError;
    },
    start: attempt,
    close() {
      closing.abort();
      clearTimeout(timer);
    },
  };
}
