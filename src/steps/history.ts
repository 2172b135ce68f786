// The history of trees of tasks, by their roots, as conditions read it: what is on record, and what is under way. An
// allowed call stands in it from the turn in which it was decided, so that calls sent at once count each other. The call
// stands there with its status before its agent has a byte of the answer, so that a rule about what may follow on it is
// not outrun.

import { isDeepStrictEqual } from 'node:util';
import type { Call } from '../domain/call.ts';
import { defined } from '../domain/defined.ts';
import type { Armed, Cleared, Reached } from '../domain/stages.ts';
import type { TaskCall, TaskStore } from '../domain/task.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { wrapSink } from '../domain/wrap-sink.ts';
import type { FactWatch } from './fact-watch.ts';

export interface CallHistory {
  /** The latest calls under a root, oldest first. Calls that are under way come last and have no status. */
  calls(root: string): readonly TaskCall[];
  /** From now on the call counts as under way. */
  begin(cleared: Cleared): void;
  /** Puts the call on record, once. A call without a task or a decision leaves no trace here. */
  record(reached: Reached, status: number | undefined): void;
  /** The call's sink. For a call of a task, one that puts the call on record when the answer begins. */
  sinkOf(armed: Armed): ResponseSink;
}

/** Hears of each change of a history. */
export type HistoryListener = Pick<FactWatch, 'historyChanged'>;

export function createHistory(tasks: TaskStore, watch: HistoryListener): CallHistory {
  const underway = new Map<string, Map<Call, TaskCall>>();
  const recorded = new WeakSet<Call>();
  /** What stands in the history for a call. */
  const own = new WeakMap<Call, TaskCall>();

  function record(reached: Reached, status: number | undefined): void {
    const { call, task } = reached;
    if (task === undefined || recorded.has(call)) return;
    const entry = entryOf(reached, status);
    if (entry === undefined) return;
    recorded.add(call);
    own.set(call, entry);
    forget(task.root, call);
    tasks.record(task.root, entry);
    watch.historyChanged(task.root, call, (of) => without(calls(task.root), own.get(of)));
  }

  function forget(root: string, call: Call): void {
    const calls = underway.get(root);
    if (calls?.delete(call) && calls.size === 0) underway.delete(root);
  }

  function calls(root: string): readonly TaskCall[] {
    const now = underway.get(root);
    return now === undefined ? tasks.calls(root) : [...tasks.calls(root), ...now.values()];
  }

  return {
    record,
    calls,
    begin(cleared) {
      const { call, task } = cleared;
      const entry = task === undefined ? undefined : entryOf(cleared, undefined);
      if (task === undefined || entry === undefined) return;
      const calls = underway.get(task.root) ?? new Map<Call, TaskCall>();
      underway.set(task.root, calls.set(call, entry));
      own.set(call, entry);
    },
    sinkOf(armed) {
      const { sink } = armed.call;
      if (armed.task === undefined) return sink;
      return wrapSink(sink, {
        head(status, headers) {
          record(armed, status);
          sink.head(status, headers);
        },
        whole(status, headers, body) {
          record(armed, status);
          sink.whole(status, headers, body);
        },
      });
    },
  };
}

function entryOf(
  { call, principal, action, task, facts, decision }: Reached,
  status: number | undefined,
): TaskCall | undefined {
  if (action === undefined || decision === undefined) return undefined;
  const marks = facts?.classification.taints ?? [];
  return {
    at: call.receivedAt,
    ...defined({ agent: principal?.agentKey, task: task?.id }),
    upstream: action.upstream,
    method: action.method,
    path: action.path,
    decision: decision.effect,
    ...defined({ tool: action.tool, operation: facts?.classification.operation, status }),
    ...(status !== undefined && decision.effect === 'allow' && marks.length > 0 && { marks }),
  };
}

/** Entries that are equal in everything stand for each other: it does not matter which one of them is left out. */
function without(history: readonly TaskCall[], own: TaskCall | undefined): readonly TaskCall[] {
  const at = own === undefined ? -1 : history.findIndex((entry) => isDeepStrictEqual(entry, own));
  return at === -1 ? history : history.toSpliced(at, 1);
}
