// The calls that are with their upstreams, so that the kill switch can cut what it comes too late to refuse: WebSocket connections, and
// answers that are being streamed. What is sent and not answered yet runs to its end, and so does what people approved: cut short, nobody
// would know what became of it. A stream that would begin later is refused in send.ts.

import type { Call } from '../domain/stages.ts';
import type { Suspensions } from './identify.ts';

export interface OpenCalls {
  enter(call: Call): void;
  leave(call: Call): void;
  /** Cuts what a suspension that is in force by now covers. Gives how many connections that were. */
  cut(): number;
}

export function createOpenCalls(suspensions: Suspensions): OpenCalls {
  const open = new Set<Call>();
  return {
    enter: (call) => void open.add(call),
    leave: (call) => void open.delete(call),
    cut() {
      let count = 0;
      for (const call of open) {
        const { principal, task } = call.facts;
        if (principal === undefined || suspensions.covering(principal, task?.id) === undefined || !cutOff(call)) continue;
        call.facts.error = 'principal_suspended';
        count += 1;
      }
      return count;
    },
  };
}

/** The upstream's side ends with the agent's. False when the call is left alone. */
function cutOff({ upgrade, sink, cleared, errand }: Call): boolean {
  // It ends with the call that it is for.
  if (errand !== undefined) return false;
  if (upgrade !== undefined) upgrade.socket.destroy();
  else if (sink.started && cleared?.clearance.kind === 'allowed') sink.abort();
  else return false;
  return true;
}
