// Remembers single uses in memory only: for a process whose uses need not outlive it, such as a command. The gateway
// remembers its own in the store. The memory is bounded. When it is full, further uses are refused, because forgetting
// early would let a second use through.

import { hash } from 'node:crypto';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { OnceStore } from '../../domain/once.ts';

const MAX_ENTRIES = 200_000;

export function createReplayMemory(clock: Clock, maxEntries: number = MAX_ENTRIES): OnceStore {
  // In the order in which entries end, as long as all are remembered for the same time.
  const entries = new Map<string, EpochMs>();
  const keyOf = (kind: string, id: string): string => `${kind} ${hash('sha256', id, 'base64')}`;

  function forget(now: EpochMs): void {
    for (const [key, until] of entries) {
      if (until > now) return;
      entries.delete(key);
    }
  }

  return {
    async use(kind, id, until) {
      forget(clock.now());
      const key = keyOf(kind, id);
      if (entries.has(key)) return 'seen';
      if (entries.size >= maxEntries) return 'full';
      entries.set(key, until);
      return 'new';
    },
    async wasUsed(kind, id) {
      forget(clock.now());
      return entries.has(keyOf(kind, id));
    },
  };
}
