// How a reviewer decides, told to nobody but themselves: for the API and the inbox.

import type { EpochMs } from '../domain/clock.ts';
import type { HoldStore } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';

const DAY_MS = 24 * 60 * 60_000;

export interface ReviewSpeed {
  readonly since: EpochMs;
  readonly decisions: number;
  readonly medianSeconds?: number;
  /** 0 to 1: the share of decisions that took less than `hastyBelowSeconds`. */
  readonly hastyShare?: number;
  readonly hastyBelowSeconds: number;
}

/** The last 24 hours. */
export async function reviewSpeedOf(
  holds: Pick<HoldStore, 'now' | 'voteTimes'>,
  reviewer: Reviewer,
): Promise<ReviewSpeed> {
  const since = holds.now() - DAY_MS;
  const { decisions, medianSeconds, hasty } = await holds.voteTimes(reviewer.id, since);
  return {
    since,
    decisions,
    ...(medianSeconds !== undefined && { medianSeconds }),
    ...(decisions > 0 && { hastyShare: hasty / decisions }),
    hastyBelowSeconds: 3,
  };
}
