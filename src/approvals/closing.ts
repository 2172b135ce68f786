// Ends an open hold for somebody outside approvals/: a task that was revised or ended, a suspension. By the state
// machine, like every other change.

import type { EpochMs } from '../domain/clock.ts';
import type { Closing, Hold } from '../domain/hold.ts';
import { advance, hasRunOut } from './machine.ts';

/**
 * A clock that ran out comes first: whatever ends the hold now, it had ended by itself. Throws `hold_closed` for a hold
 * that is not open.
 */
export function closeHold(hold: Hold, closing: Closing, now: EpochMs): Hold {
  return advance(hold, hasRunOut(hold, now) ? { type: 'expire' } : closing, now);
}
