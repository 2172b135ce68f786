// Keeps the store's time over a crash, and watches the system's clock against it. While something is open whose clock
// runs, the store is told every second what time it is; after a restart nothing that had run out is open again,
// whatever the system's clock says by then.

import type { Logger } from '../domain/log.ts';
import type { SteadyClock } from '../domain/steady-clock.ts';
import { asGatewayError } from '../errors.ts';

export interface KeptTime {
  /** Writes the time, when something is open or `always`. Throws `store_unavailable`. */
  keep(always: boolean): Promise<void>;
}

export interface TimeKeeper {
  /** False while the system's clock is behind the gateway's time. */
  agrees(): boolean;
  /** For the timer, and for tests. Never rejects. */
  look(): Promise<void>;
  close(): void;
}

/** A clock that is slewed stays within this. */
const TOLERATED_MS = 500;
const EVERY_MS = 1_000;
/** Without anything open, the time is written once in so many looks. */
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
