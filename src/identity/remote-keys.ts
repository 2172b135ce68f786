// An OIDC issuer's keys over the network: discovery (OpenID Connect Discovery 1.0 section 4) and JWKS.
// However many tokens arrive, the issuer is asked at most once per minimum interval, after successes and failures alike, and because of an
// unknown key at most once per 30 seconds. Keys outlive a failing issuer for a bounded time. The discovered issuer must be the configured one.

import { hash } from 'node:crypto';
import type { Clock, EpochMs } from '../domain/clock.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import { type Fetch, fetchJson } from './fetch-json.ts';
import { faultReason, KeyFault } from './key-fault.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import type { KeySource, SourceStatus } from './key-source.ts';

/** Milliseconds. */
export interface RefreshTimes {
  /** From one good fetch to the next. Default 5 minutes. */
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

interface RemoteKeysOptions {
  /** The issuer entry's name, for the log. */
  readonly name: string;
  readonly issuer: string;
  /** Where the JWKS is; found by discovery when absent. */
  readonly jwksUri?: string;
  readonly times: RefreshTimes;
}

interface RemoteKeysParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: Fetch;
}

export function createRemoteKeys(options: RemoteKeysOptions, { clock, log, fetch }: RemoteKeysParts): KeySource {
  const { name, issuer, times } = options;
  const closing = new AbortController();
  let keySet: KeySet | undefined;
  let digest: string | undefined;
  let fetchedAt: EpochMs | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let unknownKeyAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let lastError: string | undefined;
  let inFlight: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function current(): KeySet | undefined {
    return fetchedAt !== undefined && clock.now() < fetchedAt + times.staleMs ? keySet : undefined;
  }

  async function renew(): Promise<KeySet | undefined> {
    if (inFlight === undefined) {
      const now = clock.now();
      if (now < attemptedAt + times.minIntervalMs) return current();
      if (current() !== undefined) {
        if (now < unknownKeyAt + times.unknownKeyIntervalMs) return current();
        unknownKeyAt = now;
      }
    }
    await attempt();
    return current();
  }

  function attempt(): Promise<void> {
    inFlight ??= load().finally(() => {
      inFlight = undefined;
      schedule();
    });
    return inFlight;
  }

  async function load(): Promise<void> {
    attemptedAt = clock.now();
    try {
      adopt(await get(options.jwksUri ?? (await discover())));
      failures = 0;
      lastError = undefined;
    } catch (thrown) {
      if (closing.signal.aborted) return;
      failures += 1;
      lastError = faultReason(thrown);
      log.warn('identity.keys.failed', { issuer: name, reason: lastError, failures, keys: current()?.keys.length ?? 0 });
    }
  }

  function adopt(document: Json): void {
    const next = readKeySet(document, 'sig');
    const nextDigest = hash('sha256', JSON.stringify(document), 'base64');
    fetchedAt = clock.now();
    if (keySet !== undefined && digest === nextDigest) return;
    keySet = next;
    digest = nextDigest;
    log.info('identity.keys.changed', { issuer: name, keys: next.keys.length });
  }

  function get(address: string): Promise<Json> {
    return fetchJson(fetch, address, closing.signal, times.timeoutMs);
  }

  /** Anew for each fetch: an issuer may move its keys and leave the old ones where they were. */
  async function discover(): Promise<string> {
    const metadata = await get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    // Section 4.3: anything but the exact issuer means that somebody else's metadata was served.
    if (!isJsonObject(metadata) || metadata.issuer !== issuer) throw new KeyFault('issuer_mismatch');
    const uri = metadata.jwks_uri;
    if (typeof uri !== 'string') throw new KeyFault('no_jwks_uri');
    return uri;
  }

  function schedule(): void {
    clearTimeout(timer);
    if (closing.signal.aborted) return;
    const delayMs = failures === 0 ? times.refreshMs : Math.min(times.minIntervalMs * 2 ** Math.min(failures - 1, 16), times.refreshMs);
    timer = setTimeout(attempt, delayMs).unref();
  }

  return {
    current,
    renew,
    start: attempt,
    status(): SourceStatus {
      return {
        keys: current()?.keys.length ?? 0,
        ...(fetchedAt !== undefined && { fetchedAt }),
        ...(lastError !== undefined && { lastError }),
      };
    },
    close() {
      closing.abort();
      clearTimeout(timer);
    },
  };
}
