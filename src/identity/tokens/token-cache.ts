// Remembers for a minute which principal a token proved, so that the next call of the same agent costs one hash. The
// key is the SHA-256 of the token; the cache holds no token. A cache belongs to one Identity, and a token's bytes name
// its issuer entry, which has one list of audiences. So the key also stands for issuer and audience. An entry ends with
// its token, after its minute, or when its issuer's keys change.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EpochMs } from '../../domain/clock.ts';
import type { Principal } from '../../domain/principal.ts';

const MAX_ENTRIES = 10_000;
const TTL_MS = 60_000;

/** How long a verified token may be believed without being verified again. */
export interface Validity {
  /** At most a minute, ms. Default a minute. */
  readonly ttlMs?: number;
  /** Whether the keys that verified the token are still in force. */
  isCurrent(): boolean;
}

interface CachedToken {
  readonly principal: Principal;
  readonly validity: Validity;
  readonly from: EpochMs;
  readonly until: EpochMs;
}

export interface TokenCache {
  /** The principal of a token verified before, if that still holds now. */
  get(key: string, now: EpochMs): Principal | undefined;
  set(key: string, principal: Principal, validity: Validity, now: EpochMs): void;
  clear(): void;
}

export function cacheKey(token: string): string {
  return hash('sha256', token, 'base64');
}

export function createTokenCache(): TokenCache {
  const entries = new LRUCache<string, CachedToken>({ max: MAX_ENTRIES });
  return {
    get(key, now) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // `from` guards against a clock that was set back: a minute must not become an hour.
      if (now >= entry.from && now < entry.until && entry.validity.isCurrent()) return entry.principal;
      entries.delete(key);
      return undefined;
    },
    set(key, principal, validity, now) {
      entries.set(key, {
        principal,
        validity,
        from: now,
        until: Math.min(principal.expiresAt, now + Math.min(validity.ttlMs ?? TTL_MS, TTL_MS)),
      });
    },
    clear() {
      entries.clear();
    },
  };
}
