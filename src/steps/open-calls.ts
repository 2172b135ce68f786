// The calls that are with their upstreams. The kill switch and the end of a task cut those that they come too late to
// refuse: a WebSocket connection, an upload that is under way, an answer that is being streamed. A WebSocket also ends
// with the identity of its agent. A call that is sent and not answered yet runs to its end, and so does an approved
// call: if it were cut, nobody would know what it did. A stream that would begin later is refused in send.ts.

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
  /** Cuts the calls of tasks that have ended. */
  cutTasks(taskIds: ReadonlySet<string>): void;
}

/** Longest time of one timer. If the identity ends later, another timer is set. */
const LONGEST_TIMER_MS = 60 * 60_000;

export function createOpenCalls(suspensions: Suspensions, clock: Clock, cuts: Ways['cut']): OpenCalls {
  const open = new Set<Call>();
  const ends = new Map<Call, NodeJS.Timeout>();

  /**
   * Ends a WebSocket with the identity of its agent: there is no further request at which the identity would be
   * checked.
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
        const { principal, action, task } = call.reached;
        if (principal === undefined || action === undefined) continue;
        if (suspensions.covering({ principal, action, ...(task && { task }) }) === undefined) continue;
        if (cutOff(cuts, call, 'principal_suspended')) count += 1;
      }
      return count;
    },
    cutTasks(taskIds) {
      for (const call of open) {
        const { task } = call.reached;
        if (task !== undefined && taskIds.has(task.id)) cutOff(cuts, call, 'task_ended');
      }
    },
  };
}

/** Cuts the agent's side; the upstream's side ends with it. False when the call is left alone. */
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
