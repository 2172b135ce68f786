// Keeps the store's time over a crash, and compares the system's clock with it. While a hold is open whose clock runs,
// the time is written to the store every second. After a restart nothing that had run out is open again, even if the
// system's clock was set back.

import type { Logger } from '../domain/log.ts';
import type { SteadyClock } from '../domain/steady-clock.ts';
import { asGatewayError } from '../errors.ts';

export interface KeptTime {
  /** Writes the time if a hold is open, or if `always` is set. Throws `store_unavailable`. */
  keep(always: boolean): Promise<void>;
}

export interface TimeKeeper {
  /** False while the system's clock is behind the gateway's time. */
  agrees(): boolean;
  /** For the timer, and for tests. Never rejects. */
  look(): Promise<void>;
  close(): void;
}

/** A clock that is slewed (adjusted slowly) stays within this. */
const TOLERATED_MS = 500;
const EVERY_MS = 1_000;
/** With no hold open, the time is written once in this many looks. */
const IDLE_LOOKS = 60;

export function startTimeKeeper(clock: SteadyClock, time: KeptTime, log: Logger): TimeKeeper {
  let toldBehind = false;
  let looks = 0;
  const agrees = (): boolean => clock.behindMs() <= TOLERATED_MS;

  async function look(): Promise<void> {
    const behindMs = Math.round(clock.behindMs());
    if (agrees() === toldBehind) {
      toldBehind = !toldBehind;
      if (toldBehind) log.error('clock.set_back', { behindMs });
      else log.info('clock.agrees', {});
    }
    try {
      await time.keep(looks++ % IDLE_LOOKS === 0);
    } catch (thrown) {
      log.error('store.time_not_kept', { error: asGatewayError(thrown).code });
    }
  }

  const timer = setInterval(() => void look(), EVERY_MS).unref();
  return { agrees, look, close: () => clearInterval(timer) };
}
