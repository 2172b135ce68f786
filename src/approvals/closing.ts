// Ends an open hold because of something outside approvals/: its task was revised or ended, or its agent was suspended.
// The state machine makes the change, as it makes every other.

import type { EpochMs } from '../domain/clock.ts';
import type { Closing, Hold } from '../domain/hold.ts';
import { advance, hasRunOut } from './machine.ts';

/**
 * A hold whose clock has run out becomes EXPIRED instead: it had already ended by itself. Throws `hold_closed` for a
 * hold that is not open.
 */
export function closeHold(hold: Hold, closing: Closing, now: EpochMs): Hold {
  return advance(hold, hasRunOut(hold, now) ? { type: 'expire' } : closing, now);
}
