// The calls whose decision holds only until their task has done something else: some rule about them reads its history.
// They are judged again whenever that has changed, before the agent learns what it changed by. What has not gone out is
// then refused, and what is open is cut.

import type { Clock } from '../domain/clock.ts';
import type { Call, RuntimeConfig } from '../domain/stages.ts';
import type { TaskCall } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { judge } from './decide.ts';
import { cutOff } from './open-calls.ts';

export class HistoryWatch {
  readonly #byTask = new Map<string, Set<Call>>();
  readonly #runtime: () => RuntimeConfig;
  readonly #clock: Clock;

  constructor(runtime: () => RuntimeConfig, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  /** From its clearance on. */
  enter(call: Call): void {
    const { task, action } = call.facts;
    if (task === undefined || action === undefined) return;
    if (!this.#runtime().policy.readsHistory(action.upstream, action.method, action.path)) return;
    const calls = this.#byTask.get(task.id) ?? new Set();
    this.#byTask.set(task.id, calls.add(call));
  }

  leave(call: Call): void {
    const { task } = call.facts;
    if (task === undefined) return;
    const calls = this.#byTask.get(task.id);
    if (calls?.delete(call) && calls.size === 0) this.#byTask.delete(task.id);
  }

  /** `history` is the task's, with what has changed. */
  changed(taskId: string, by: Call, history: () => readonly TaskCall[]): void {
    const calls = this.#byTask.get(taskId);
    if (calls === undefined) return;
    const now = history();
    for (const call of calls) if (call !== by && !this.#stands(call, now)) bar(call);
  }

  #stands(call: Call, history: readonly TaskCall[]): boolean {
    const { cleared } = call;
    if (cleared === undefined) return true;
    const { effect } = judge(this.#runtime(), this.#clock, { ...cleared, calls: without(history, call) });
    // What people approved was held before, and is so still.
    return effect === 'allow' || (effect === 'hold' && cleared.clearance.kind === 'released');
  }
}

/** Throws `denied` for a call that was barred before it went out. */
export function refuseBarred(call: Call): void {
  if (call.barred === true)
    throw new GatewayError('denied', 'What its task has done since this call was allowed makes policy deny it.');
}

function bar(call: Call): void {
  call.barred = true;
  if (call.departed && cutOff(call)) call.facts.error ??= 'denied';
}

/** A call was decided on without itself. */
function without(history: readonly TaskCall[], { facts: { receivedAt, action } }: Call): readonly TaskCall[] {
  const own = history.findIndex(
    ({ at, upstream, method, path, tool }) =>
      at === receivedAt &&
      upstream === action?.upstream &&
      method === action.method &&
      path === action.path &&
      tool === action.tool,
  );
  return own === -1 ? history : history.toSpliced(own, 1);
}
