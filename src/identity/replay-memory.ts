// What was seen within the last moments, so that it is not taken a second time. Bounded; when it is full nothing more is taken, because
// forgetting early would let a replay through.

import { hash } from 'node:crypto';
import type { Clock, EpochMs } from '../domain/clock.ts';

const MAX_ENTRIES = 200_000;

export interface ReplayMemory {
  /** Remembers a text for so long, ms. */
  add(text: string, ttlMs: number): 'new' | 'seen' | 'full';
}

export function createReplayMemory(clock: Clock, maxEntries: number = MAX_ENTRIES): ReplayMemory {
  // In the order in which entries end: all are remembered for the same time.
  const entries = new Map<string, EpochMs>();

  function forget(now: EpochMs): void {
    for (const [key, until] of entries) {
      if (until > now) return;
      entries.delete(key);
    }
  }

  return {
    add(text, ttlMs) {
      const now = clock.now();
      forget(now);
      const key = hash('sha256', text, 'base64');
      if (entries.has(key)) return 'seen';
      if (entries.size >= maxEntries) return 'full';
      entries.set(key, now + ttlMs);
      return 'new';
    },
  };
}
