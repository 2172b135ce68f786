// Nonces for DPoP proofs (RFC 9449 section 9) without a memory: each is the MAC of a minute under a key that only this
// process has.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../domain/clock.ts';
import type { Json } from '../../domain/json.ts';

const PERIOD_MS = 60_000;

export interface DpopNonce {
  current(): string;
  /** Whether it is of this minute or the one before. */
  isCurrent(nonce: Json | undefined): boolean;
}

export function createDpopNonce(clock: Clock): DpopNonce {
  const key = randomBytes(32);
  const period = (): number => Math.floor(clock.now() / PERIOD_MS);
  const nonceOf = (index: number): string => createHmac('sha256', key).update(String(index)).digest('base64url');
  return {
    current: () => nonceOf(period()),
    isCurrent(nonce) {
      if (typeof nonce !== 'string') return false;
      const given = Buffer.from(nonce);
      return [period(), period() - 1].some((index) => {
        const wanted = Buffer.from(nonceOf(index));
        return wanted.length === given.length && timingSafeEqual(wanted, given);
      });
    },
  };
}
