// Time as a port, so that tests own it.

/** Milliseconds since the Unix epoch. */
export type EpochMs = number;

export interface Clock {
  now(): EpochMs;
}

export const systemClock: Clock = { now: () => Date.now() };

let lastTime: EpochMs | undefined;
let lastText = '';

/** RFC 3339, UTC, with milliseconds. Many records are written within one millisecond: the last text is remembered. */
export function isoTime(time: EpochMs): string {
  if (time !== lastTime) {
    lastText = new Date(time).toISOString();
    lastTime = time;
  }
  return lastText;
}
