// Principals of tokens that were verified within the last minute, so that the next call of the same agent costs one hash.
// The key is the SHA-256 of the token. A cache belongs to one Identity, and a token's bytes name its issuer entry, which has one list of
// audiences: so the key stands for issuer and audience, too. Holds no tokens. An entry dies with its token, with its minute, or with its issuer's keys.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EpochMs } from '../domain/clock.ts';
import type { Principal } from '../domain/principal.ts';
import type { KeySet } from './key-set.ts';
import type { KeyLookup } from './key-source.ts';

const MAX_ENTRIES = 10_000;
const TTL_MS = 60_000;

interface Entry {
  readonly principal: Principal;
  readonly keys: KeyLookup;
  readonly keySet: KeySet;
  readonly from: EpochMs;
  readonly until: EpochMs;
}

export interface TokenCache {
  /** The principal of a token verified before, if that still holds now. */
  get(key: string, now: EpochMs): Principal | undefined;
  set(key: string, principal: Principal, keys: KeyLookup, keySet: KeySet, now: EpochMs): void;
  clear(): void;
}

export function cacheKey(token: string): string {
  return hash('sha256', token, 'base64');
}

export function createTokenCache(): TokenCache {
  const entries = new LRUCache<string, Entry>({ max: MAX_ENTRIES });
  return {
    get(key, now) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // `from` guards against a clock that was set back: a minute must not become an hour.
      if (now >= entry.from && now < entry.until && entry.keys.current() === entry.keySet) return entry.principal;
      entries.delete(key);
      return undefined;
    },
    set(key, principal, keys, keySet, now) {
      entries.set(key, { principal, keys, keySet, from: now, until: Math.min(principal.expiresAt, now + TTL_MS) });
    },
    clear() {
      entries.clear();
    },
  };
}
