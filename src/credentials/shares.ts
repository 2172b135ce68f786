// Shared credentials, for calls that need no approval: calls that ask at the same time cause one mint, renewal comes
// early, failures are remembered briefly, and the number of credentials is bounded. Never hands out a credential that
// has expired, or that another configuration made.

import { LRUCache } from 'lru-cache';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { BrokerProvider } from './broker-provider.ts';

export interface ShareOptions {
  readonly clock: Clock;
  /** How many are kept; the least recently used go first. */
  readonly max: number;
  /** How long a failure answers further calls, ms. */
  readonly failureMs: number;
  /** Called for a credential that is no longer handed out; calls that are under way may still use it. */
  retire(credential: Credential): void;
}

export interface SharedCredentials {
  /**
   * The credential under this key. Calls `mint` when there is none, or when it is time for a new one. A hit is one
   * look-up in a map.
   */
  obtain(key: string, provider: BrokerProvider, mint: () => Promise<Credential>): Credential | Promise<Credential>;
  /** Forgets this credential, so that the next call gets a fresh one. */
  drop(isDropped: (credential: Credential) => boolean): void;
  clear(): void;
}

interface Share {
  readonly provider: BrokerProvider;
  readonly promise: Promise<Credential>;
  /** Absent while it is being minted, and after a failure. */
  credential?: Credential;
  /** From this time on, the next call starts a new mint, and is itself served with the credential at hand. */
  renewAt: EpochMs;
  usableUntil: EpochMs;
}

const DEFAULT_REUSE_MS = 300_000;

/** Nothing is shared for longer than this, however long it would live. */
const LONGEST_REUSE_MS = 3_600_000;

/** No credential is handed out in the last tenth of its life, at most this long: the call has yet to arrive. */
const LARGEST_MARGIN_MS = 10_000;

export function createShares({ clock, max, failureMs, retire }: ShareOptions): SharedCredentials {
  const cache = new LRUCache<string, Share>({
    max,
    dispose: ({ credential }) => {
      if (credential !== undefined) retire(credential);
    },
  });

  function mintNew(key: string, provider: BrokerProvider, mint: () => Promise<Credential>): Promise<Credential> {
    const share: Share = { provider, promise: mint(), renewAt: Infinity, usableUntil: Infinity };
    cache.set(key, share);
    share.promise.then(
      (credential) => {
        if (cache.peek(key) !== share) return retire(credential);
        Object.assign(share, { credential, ...lifetime(credential, provider, clock.now()) });
      },
      () => {
        share.renewAt = share.usableUntil = clock.now() + failureMs;
      },
    );
    return share.promise;
  }

  function renew(key: string, share: Share, mint: () => Promise<Credential>): void {
    // One renewal at a time; the credential at hand serves until it is there, or until it is no longer usable.
    share.renewAt = share.usableUntil;
    mint().then(
      (credential) => {
        if (cache.peek(key) !== share) return retire(credential);
        const { provider } = share;
        cache.set(key, {
          provider,
          promise: Promise.resolve(credential),
          credential,
          ...lifetime(credential, provider, clock.now()),
        });
      },
      () => {
        share.renewAt = Math.min(share.usableUntil, clock.now() + failureMs);
      },
    );
  }

  return {
    obtain(key, provider, mint) {
      const share = cache.get(key);
      if (share === undefined || share.provider !== provider) return mintNew(key, provider, mint);
      const now = clock.now();
      if (now >= share.usableUntil) return mintNew(key, provider, mint);
      if (now >= share.renewAt) renew(key, share, mint);
      return share.credential ?? share.promise;
    },
    drop(isDropped) {
      for (const [key, { credential }] of cache.entries())
        if (credential !== undefined && isDropped(credential)) cache.delete(key);
    },
    clear: () => cache.clear(),
  };
}

function lifetime(
  credential: Credential,
  provider: BrokerProvider,
  now: EpochMs,
): { renewAt: EpochMs; usableUntil: EpochMs } {
  const lifeMs = reuseMs(provider, credential.expiresAt, now);
  const marginMs = credential.expiresAt === undefined ? 0 : Math.min(LARGEST_MARGIN_MS, lifeMs / 10);
  // Spread, so that credentials which were minted together are not renewed together.
  return { renewAt: now + lifeMs * (0.75 + Math.random() * 0.15), usableUntil: now + lifeMs - marginMs };
}

/** For how long from now a credential can be shared at most, ms. */
export function reuseMs(provider: BrokerProvider, expiresAt: EpochMs | undefined, now: EpochMs): number {
  return Math.min(LONGEST_REUSE_MS, expiresAt === undefined ? (provider.reuseMs ?? DEFAULT_REUSE_MS) : expiresAt - now);
}
