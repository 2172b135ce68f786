// The way of a call, in one list. Every step's output is the only thing that the next one accepts (domain/stages.ts):
// nothing can be sent without a clearance, and nothing cleared can be sent before it is on record.
// No credential request, look-up or connection for the upstream happens before `clear` returns.

import type { Call } from './domain/call.ts';
import type { Steps } from './domain/stages.ts';
import { asGatewayError } from './errors.ts';

/** Takes one call from its arrival to its end. Never rejects. */
export function createPipeline(steps: Steps): (call: Call) => Promise<void> {
  return async (call) => {
    try {
      const received = steps.receive(call); //               parse once, strictly: all that follows sees only this form
      const recognised = await steps.identify(received); //  who calls, before a byte of the body is read for them
      const classified = await steps.classify(recognised); // what it would do, over the exact bytes
      if (classified === undefined) return; //               a question to the gateway itself, answered: no call
      const decided = steps.decide(classified); //           what the rules say of that
      const cleared = await steps.clear(decided); //         an allow, or an approval of exactly this, claimed once
      const journaled = await steps.journal(cleared); //     on record before any effect: no record, no call
      //           once there is room at its upstream; the credential exists only from here on
      const armed = await steps.arm(journaled);
      await steps.send(armed); //                            once; a held call is marked SENT before its first byte
    } catch (thrown) {
      await steps.refuse(call.reached, asGatewayError(thrown));
    } finally {
      //                           always: take the credential back, record the outcome, end the spans
      await steps.settle(call.reached);
    }
  };
}
