// When each reviewer first opened a hold: the time to decide is counted from then. Kept in memory, bounded, and used
// for statistics only. After a restart, or for a vote by someone who never opened the hold, the time is counted from
// the hold's creation.

import type { EpochMs } from '../domain/clock.ts';

const REMEMBERED = 20_000;

export interface FirstViews {
  note(holdId: string, reviewerId: string, at: EpochMs): void;
  at(holdId: string, reviewerId: string): EpochMs | undefined;
}

export function createFirstViews(): FirstViews {
  const first = new Map<string, EpochMs>();
  return {
    note(holdId, reviewerId, at) {
      const key = `${holdId} ${reviewerId}`;
      if (first.has(key)) return;
      first.set(key, at);
      const [oldest] = first.keys();
      if (first.size > REMEMBERED && oldest !== undefined) first.delete(oldest);
    },
    at: (holdId, reviewerId) => first.get(`${holdId} ${reviewerId}`),
  };
}
