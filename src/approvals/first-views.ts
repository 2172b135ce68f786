// When each reviewer first had a hold before them: the time to decide is counted from there. In memory, bounded, and
// only a measure: after a restart, or for a vote without a look, it is counted from the hold's creation.

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
