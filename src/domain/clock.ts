// Time as a port, so that tests own it.

/** Milliseconds since the Unix epoch. */
export type EpochMs = number;

export interface Clock {
  now(): EpochMs;
}

export const systemClock: Clock = { now: () => Date.now() };
