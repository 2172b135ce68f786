// The gateway's time. It follows the system's clock forward and never back: where that is set back (an NTP step, a
// resumed machine), time goes on by the monotonic clock, so that what was to end in five seconds ends in five seconds.
// Says how far the system's clock is behind it.

import type { Clock, EpochMs } from './clock.ts';

export interface SteadyClock extends Clock {
  /** From here on no earlier than this: what a process before this one has seen. */
  atLeast(time: EpochMs): void;
  /** How far the system's clock is behind, ms; 0 while it agrees. */
  behindMs(): number;
}

export function createSteadyClock(
  system: () => EpochMs = Date.now,
  monotonicMs: () => number = () => performance.now(),
): SteadyClock {
  let time = system();
  let at = monotonicMs();

  function advance(): EpochMs {
    const now = monotonicMs();
    time = Math.max(time + Math.max(now - at, 0), system());
    at = now;
    return Math.floor(time);
  }

  return {
    now: advance,
    atLeast(earliest) {
      advance();
      time = Math.max(time, earliest);
    },
    behindMs: () => Math.max(0, advance() - system()),
  };
}
