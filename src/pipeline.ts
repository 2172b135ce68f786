// The way of a call, in one list. Every step's output is the only thing that the next one accepts (domain/stages.ts):
// nothing can be sent without a clearance, and nothing cleared can be sent before it is on record.
// No credential request, look-up or connection for the upstream happens before `clear` returns.

import type { Call } from './domain/call.ts';
import { byKind, type Ways } from './domain/call-kind.ts';
import type { Steps } from './domain/stages.ts';
import { asGatewayError } from './errors.ts';

/** Every kind of call takes every step. This is what the steps do differently (domain/call-kind.ts). */
// biome-ignore format: a table
export const WAYS: Ways = {
  //                plain        resumed      subcall      upgrade       shared
  identify:  byKind('token',     'token',     'parent',    'token',      'token'),
  counted:   byKind(true,        true,        false,       true,         true),
  clearedBy: byKind('rules',     'approval',  'rules',     'rules',      'rules'),
  hold:      byKind('wait',      'wait',      'deny',      'wait',       'deny'),
  place:     byKind(true,        true,        true,        true,         false),
  sentBy:    byKind('forwarder', 'forwarder', 'forwarder', 'webSocket',  'handler'),
  again:     byKind(true,        false,       true,        false,        false),
  history:   byKind('answer',    'answer',    'answer',    'sent',       'answer'),
  cut:       byKind('stream',    'nothing',   'nothing',   'connection', 'stream'),
};

/** Takes one call from its arrival to its end. Never rejects. */
export function createPipeline(steps: Steps): (call: Call) => Promise<void> {
  return async (call) => {
    try {
      const received = steps.receive(call); //               parse once, strictly: all that follows sees only this form
      const recognised = await steps.identify(received); //  who calls, before a byte of the body is read for them
      const classified = await steps.classify(recognised); // what it would do, over the exact bytes
      if (classified === undefined) return; //               a question to the gateway itself, answered: no call
      const assessed = await steps.assess(classified); //    what is known about that: by configuration, and by what was
      const decided = steps.decide(assessed); //             what the rules say about that
      const cleared = await steps.clear(decided); //         an allow, or an approval of exactly this, claimed once
      const journaled = await steps.journal(cleared); //     on record before any effect: no record, no call
      const armed = await steps.arm(journaled); //           once its upstream has room; from here on a credential exists
      await steps.send(armed); //                            once; a held call is marked SENT before its first byte
    } catch (thrown) {
      await steps.refuse(call.reached, asGatewayError(thrown)); // in words to the agent, and on record
    } finally {
      await steps.settle(call.reached); //                   always: credential back, outcome on record, spans ended
    }
  };
}
