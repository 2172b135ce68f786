// The calls that are with their upstreams, so that the kill switch can cut what it comes too late to refuse: WebSocket
// connections, uploads that are under way, and answers that are being streamed. WebSockets also end with the identity
// of their agent. What is sent and not answered yet runs to its end, and so does what people approved: cut short,
// nobody would know what became of it. A stream that would begin later is refused in send.ts.

import type { Call } from '../domain/call.ts';
import { kindOf, type Ways } from '../domain/call-kind.ts';
import type { Clock } from '../domain/clock.ts';
import type { Reached } from '../domain/stages.ts';
import type { ErrorCode } from '../errors.ts';
import type { Suspensions } from './identify.ts';

export interface OpenCalls {
  enter(call: Call): void;
  leave(call: Call): void;
  /** Cuts the calls that a suspension in force covers by now. Gives how many connections those were. */
  cut(): number;
}

/** How long a timer may run; a later end is looked at again. */
const LONGEST_TIMER_MS = 60 * 60_000;

export function createOpenCalls(suspensions: Suspensions, clock: Clock, cuts: Ways['cut']): OpenCalls {
  const open = new Set<Call>();
  const ends = new Map<Call, NodeJS.Timeout>();

  /**
   * A WebSocket ends with what its agent proved itself by: there is no further request at which that would be looked
   * at.
   */
  function endWithIdentity(call: Call): void {
    const remaining = (call.reached.principal?.expiresAt ?? 0) - clock.now();
    if (remaining > 0) {
      ends.set(
        call,
        setTimeout(() => endWithIdentity(call), Math.min(remaining, LONGEST_TIMER_MS)),
      );
    } else cutOff(cuts, call, 'token_expired');
  }

  return {
    enter(call) {
      open.add(call);
      if (call.upgrade !== undefined) endWithIdentity(call);
    },
    leave(call) {
      open.delete(call);
      clearTimeout(ends.get(call));
      ends.delete(call);
    },
    cut() {
      let count = 0;
      for (const call of open) {
        const { principal, task } = call.reached;
        if (principal === undefined || suspensions.covering(principal, task?.id) === undefined) continue;
        if (cutOff(cuts, call, 'principal_suspended')) count += 1;
      }
      return count;
    },
  };
}

/** The upstream's side ends with the agent's. False when the call is left alone. */
export function cutOff(cuts: Ways['cut'], call: Call, because: ErrorCode): boolean {
  const { upgrade, sink, reached } = call;
  const what = cuts[kindOf(reached)];
  if (what === 'connection') upgrade?.socket.destroy();
  else if (what === 'stream' && reached.clearance?.kind === 'allowed' && isStreaming(reached)) sink.abort();
  else return false;
  call.cut ??= because;
  return true;
}

/** Its answer has begun, or its body is still on the way. */
function isStreaming({ call, arrived }: Reached): boolean {
  return call.sink.started || arrived?.body.underway === true;
}
