// Calls that a rule decided by the history of their tree of tasks. When that history changes, they are judged again,
// before the agent learns of the change. A call that has not been sent yet is then refused, and one that is open is cut.

import type { Call } from '../domain/call.ts';
import type { Ways } from '../domain/call-kind.ts';
import type { Clock } from '../domain/clock.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Cleared, Reached } from '../domain/stages.ts';
import type { TaskCall } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { judge } from './decide.ts';
import { cutOff } from './open-calls.ts';

export class HistoryWatch {
  readonly #byRoot = new Map<string, Map<Call, Cleared>>();
  readonly #barred = new WeakSet<Call>();
  readonly #runtime: () => RuntimeConfig;
  readonly #clock: Clock;
  readonly #cuts: Ways['cut'];

  constructor(runtime: () => RuntimeConfig, clock: Clock, cuts: Ways['cut']) {
    this.#runtime = runtime;
    this.#clock = clock;
    this.#cuts = cuts;
  }

  /** Watches the call from its clearance on. */
  enter(cleared: Cleared): void {
    const { call, task, action } = cleared;
    if (task === undefined) return;
    const { policy } = this.#runtime();
    if (!policy.factsRead(action.upstream, action.method, action.path).has('history')) return;
    const calls = this.#byRoot.get(task.root) ?? new Map();
    this.#byRoot.set(task.root, calls.set(call, cleared));
  }

  leave({ call, task }: Reached): void {
    if (task === undefined) return;
    const calls = this.#byRoot.get(task.root);
    if (calls?.delete(call) && calls.size === 0) this.#byRoot.delete(task.root);
  }

  /** `history` gives the root's history, with the change, as a call sees it: without the call itself. */
  changed(root: string, by: Call, history: (of: Call) => readonly TaskCall[]): void {
    const calls = this.#byRoot.get(root);
    if (calls === undefined) return;
    for (const [call, cleared] of calls) if (call !== by && !this.#stands(cleared, history(call))) this.#bar(call);
  }

  /** Throws `denied` for a call that was barred before it went out. */
  refuseBarred(call: Call): void {
    if (this.#barred.has(call))
      throw new GatewayError('denied', 'What its task has done since this call was allowed makes policy deny it.');
  }

  #stands(cleared: Cleared, history: readonly TaskCall[]): boolean {
    const { effect } = judge(this.#runtime(), this.#clock, { ...cleared, calls: history });
    // An approved call was held before, so a hold does not bar it.
    return effect === 'allow' || (effect === 'hold' && cleared.clearance.kind === 'released');
  }

  #bar(call: Call): void {
    this.#barred.add(call);
    if (call.reached.departed) cutOff(this.#cuts, call, 'denied');
  }
}
