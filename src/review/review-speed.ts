// How fast a reviewer decides, for the API and the inbox. Reviewers see their own figures only.

import type { EpochMs } from '../domain/clock.ts';
import type { HoldStore, VoteTimes } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';

const DAY_MS = 24 * 60 * 60_000;

export interface ReviewSpeed extends VoteTimes {
  /** A day ago. */
  readonly since: EpochMs;
}

export async function reviewSpeedOf(
  holds: Pick<HoldStore, 'now' | 'voteTimes'>,
  reviewer: Reviewer,
): Promise<ReviewSpeed> {
  const since = holds.now() - DAY_MS;
  return { since, ...(await holds.voteTimes(reviewer.id, since)) };
}
