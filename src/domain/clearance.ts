// Evidence that a call may be sent. It cannot be forged in types (the brand is not exported) and is checked when it is
// made: only an `allow`, or a hold that this process has claimed, leads to a clearance.

import type { Decision } from './decision.ts';
import type { Hold, ReleasingHold } from './hold.ts';

declare const cleared: unique symbol;

export type Clearance = { readonly [cleared]: true; readonly decision: Decision } & (
  | { readonly kind: 'allowed' }
  | { readonly kind: 'released'; readonly hold: ReleasingHold }
);

/** A call that the rules let through by themselves. */
export function clearAllowed(decision: Decision): Clearance {
  if (decision.effect !== 'allow') throw new TypeError(`no clearance for a decision of ${decision.effect}`);
  return { kind: 'allowed', decision } as Clearance;
}

/**
 * A held call whose approval was claimed once, by `claim`. The decision is the one that took the approval into account.
 */
export function clearReleased(decision: Decision, hold: Hold, claim: string): Clearance {
  if (decision.effect !== 'allow') throw new TypeError(`no clearance for a decision of ${decision.effect}`);
  if (hold.state !== 'RELEASING' || hold.claim !== claim)
    throw new TypeError(`no clearance for a hold in ${hold.state}`);
  return { kind: 'released', decision, hold } as Clearance;
}
