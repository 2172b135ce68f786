// The history of tasks, as conditions read it: what is on record, and what is under way. An allowed call stands in it
// from the turn in which it was decided, so that calls sent at once count each other; with its status from before its
// agent has a byte of the answer, so that a rule about what may follow on it is not outrun.

import type { Call } from '../domain/stages.ts';
import type { TaskCall, TaskStore } from '../domain/task.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { wrapSink } from '../domain/wrap-sink.ts';
import type { HistoryWatch } from './history-watch.ts';

export interface CallHistory {
  /** The latest calls of a task, oldest first; those under way come last and have no status. */
  calls(taskId: string): readonly TaskCall[];
  /** From now on the call counts as under way. Only for calls that are cleared. */
  begin(call: Call): void;
  /** Puts the call on record, once; a call without a task or a decision leaves no trace here. */
  record(call: Call, status: number | undefined): void;
  /** The call is over. */
  end(call: Call): void;
  /** The call's sink; for a call of a task, one that puts it on record when the answer begins. */
  sinkOf(call: Call): ResponseSink;
}

/** Hears of what is decided by a task's history, and of each change of it. */
export type HistoryListener = Pick<HistoryWatch, 'enter' | 'leave' | 'changed'>;

export function createHistory(tasks: TaskStore, watch: HistoryListener): CallHistory {
  const underway = new Map<string, Map<Call, TaskCall>>();

  function record(call: Call, status: number | undefined): void {
    const { task } = call.facts;
    const entry = entryOf(call, status);
    if (call.remembered === true || task === undefined || entry === undefined) return;
    call.remembered = true;
    forget(task.id, call);
    tasks.record(task.id, entry);
    watch.changed(task.id, call, () => calls(task.id));
  }

  function forget(taskId: string, call: Call): void {
    const calls = underway.get(taskId);
    if (calls?.delete(call) && calls.size === 0) underway.delete(taskId);
  }

  function calls(taskId: string): readonly TaskCall[] {
    const now = underway.get(taskId);
    return now === undefined ? tasks.calls(taskId) : [...tasks.calls(taskId), ...now.values()];
  }

  return {
    record,
    calls,
    end: watch.leave.bind(watch),
    begin(call) {
      const { task } = call.facts;
      const entry = entryOf(call, undefined);
      if (task === undefined || entry === undefined) return;
      const calls = underway.get(task.id) ?? new Map<Call, TaskCall>();
      underway.set(task.id, calls.set(call, entry));
      watch.enter(call);
    },
    sinkOf(call) {
      const { sink } = call;
      if (call.facts.task === undefined) return sink;
      return wrapSink(sink, {
        head(status, headers) {
          record(call, status);
          sink.head(status, headers);
        },
        whole(status, headers, body) {
          record(call, status);
          sink.whole(status, headers, body);
        },
      });
    },
  };
}

function entryOf({ facts: { action, decision, receivedAt } }: Call, status: number | undefined): TaskCall | undefined {
  if (action === undefined || decision === undefined) return undefined;
  return {
    at: receivedAt,
    upstream: action.upstream,
    method: action.method,
    path: action.path,
    ...(action.tool !== undefined && { tool: action.tool }),
    decision: decision.effect,
    ...(status !== undefined && { status }),
  };
}
