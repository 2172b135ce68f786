// Deleting what ended long ago. The audit log keeps the record of it; the store keeps what people still look at.

import type { EpochMs } from './clock.ts';

/** What ended before these times goes. */
export interface RetentionLimits {
  readonly holds: EpochMs;
  readonly bodies: EpochMs;
  readonly tasks: EpochMs;
}

/** How many rows of each were deleted. */
export interface Deleted {
  readonly holds: number;
  readonly bodies: number;
  readonly tasks: number;
  /** Marks that have ended by themselves. */
  readonly marks: number;
  /** Passed calls, lifted suspensions, dead notifications. */
  readonly others: number;
}

export interface RetentionStore {
  /**
   * Deletes one small batch of each, in one transaction; all zero when nothing is left to delete. Throws
   * `store_unavailable`.
   */
  sweep(before: RetentionLimits): Promise<Deleted>;
}
