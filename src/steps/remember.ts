// The history of a task, which conditions read. A call stands in it before its agent has a byte of the answer: a rule about what
// may follow on a call must not be outrun by who streams that answer slowly.

import type { Call } from '../domain/stages.ts';
import type { TaskStore } from '../domain/task.ts';
import type { ResponseSink } from '../domain/upstream.ts';

/** Writes the call down, once; a call without a task or a decision leaves no trace here. */
export function remember(tasks: TaskStore, call: Call, status: number | undefined): void {
  const { task, action, decision, receivedAt } = call.facts;
  if (call.remembered === true || task === undefined || action === undefined || decision === undefined) return;
  call.remembered = true;
  tasks.record(task.id, {
    at: receivedAt,
    upstream: action.upstream,
    method: action.method,
    path: action.path,
    ...(action.tool !== undefined && { tool: action.tool }),
    decision: decision.effect,
    ...(status !== undefined && { status }),
  });
}

/** The call's sink; for a call of a task, one that writes it down when the answer begins. */
export function rememberingSink(tasks: TaskStore, call: Call): ResponseSink {
  const { sink } = call;
  if (call.facts.task === undefined) return sink;
  return {
    get started() {
      return sink.started;
    },
    head(status, headers) {
      remember(tasks, call, status);
      sink.head(status, headers);
    },
    write: sink.write,
    onDrain: sink.onDrain,
    whole(status, headers, body) {
      remember(tasks, call, status);
      sink.whole(status, headers, body);
    },
    end: sink.end,
    abort: sink.abort,
  };
}
