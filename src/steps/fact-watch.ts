// Calls that a rule decided by facts that can change: the history of their tree of tasks, and marks. When a fact changes,
// they are decided on again, before the agent learns of the change. A call that has not been sent yet is then refused,
// and one that is open is cut. A call is watched from before its facts are looked up, so no change falls in between.

import type { Call } from '../domain/call.ts';
import type { Ways } from '../domain/call-kind.ts';
import type { Classification } from '../domain/classification.ts';
import type { Clock } from '../domain/clock.ts';
import { type Facts, type HistoryFact, stricter } from '../domain/facts.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Classified, Cleared, Departed, Reached } from '../domain/stages.ts';
import { longest, type Mark, type MarkKey, type MarkStore, markKeysOf, resourceKeys } from '../domain/taint.ts';
import type { TaskCall } from '../domain/task.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';
import { judge } from './decide.ts';
import { cutOff } from './open-calls.ts';

interface Watched {
  readonly call: Call;
  readonly places: ReadonlySet<string>;
  /** Whether marks matter to it. */
  readonly readsMarks: boolean;
  /** Whether a mark was set since its marks were looked up last. */
  stale: boolean;
}

export interface WatchParts {
  readonly marks: Pick<MarkStore, 'on'>;
  readonly clock: Clock;
  readonly cuts: Ways['cut'];
  /** The configuration in force. */
  runtime(): RuntimeConfig;
}

const REFUSALS = {
  denied: 'What its task has done since this call was allowed makes policy deny it.',
  tainted_meanwhile: 'What was read since this call was allowed makes policy stop it.',
} as const satisfies Partial<Record<ErrorCode, string>>;

export class FactWatch {
  readonly #parts: WatchParts;
  readonly #byPlace = new Map<string, Set<Watched>>();
  readonly #watched = new Map<Call, Watched>();
  readonly #barred = new WeakMap<Call, keyof typeof REFUSALS>();

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** Watches a call whose facts are about to be looked up. */
  enter(
    { call, principal, task }: Classified,
    { carries }: Pick<Classification, 'carries'>,
    reads: ReadonlySet<HistoryFact>,
  ): void {
    const readsMarks = reads.has('tainted') || carries.length > 0;
    if (!readsMarks && (task === undefined || !reads.has('history'))) return;
    this.#forget(call);
    const keys: readonly MarkKey[] = readsMarks
      ? [...markKeysOf(principal, task?.root), ...resourceKeys(carries)]
      : [{ scope: 'root', key: task?.root ?? '' }];
    const watched = { call, places: new Set(keys.map(placeOf)), readsMarks, stale: false };
    this.#watched.set(call, watched);
    for (const place of watched.places) {
      const others = this.#byPlace.get(place) ?? new Set();
      this.#byPlace.set(place, others.add(watched));
    }
  }

  leave({ call }: Pick<Reached, 'call'>): void {
    this.#forget(call);
  }

  /** Looks until no mark was set during the look. */
  async look<Seen>(call: Call, look: () => Promise<Seen>): Promise<Seen> {
    const watched = this.#watched.get(call);
    for (;;) {
      if (watched !== undefined) watched.stale = false;
      const seen = await look();
      if (watched?.stale !== true) return seen;
    }
  }

  /** Whether a mark was set since the marks of this unsent call were looked up. */
  isStale(call: Call): boolean {
    return this.#watched.get(call)?.stale === true;
  }

  /** Looks the marks of the call up, and bars it if it would not be let through now. */
  async decideAgain(cleared: Cleared): Promise<void> {
    const { call, principal, task, facts } = cleared;
    const keys = markKeysOf(principal, task?.root);
    const tainted = longest(await this.look(call, () => this.#parts.marks.on(keys)));
    if (!this.#stands(cleared, { ...facts, tainted })) this.#bar(call, 'tainted_meanwhile');
  }

  /** Throws for a call that was barred before it went out. */
  refuseBarred(call: Call): void {
    const code = this.#barred.get(call);
    if (code !== undefined) throw new GatewayError(code, REFUSALS[code], { executed: 'no' });
  }

  /** `history` gives the root's history, with the change, as a call sees it: without the call itself. */
  historyChanged(root: string, by: Call, history: (of: Call) => readonly TaskCall[]): void {
    for (const { call } of this.#at([{ scope: 'root', key: root }], by)) {
      const { reached } = call;
      if (isCleared(reached) && !this.#stands({ ...reached, calls: history(call) }, reached.facts))
        this.#bar(call, 'denied');
    }
  }

  /**
   * These marks are on disk. Every open call that they concern is decided on again before this resolves with those
   * calls. Calls that have not been sent yet look again before they are sent.
   */
  async marked(marks: readonly Mark[], by: Call): Promise<readonly Departed[]> {
    const open: Departed[] = [];
    for (const watched of this.#at(marks, by)) {
      const { reached } = watched.call;
      watched.stale = true;
      if (!watched.readsMarks || !isDeparted(reached)) continue;
      open.push(reached);
      // Of what cannot be looked up, nobody knows whether it would still be let through.
      await this.decideAgain(reached).catch(() => this.#bar(watched.call, 'tainted_meanwhile'));
    }
    return open;
  }

  #stands(cleared: Cleared, now: Facts): boolean {
    const { clearance } = cleared;
    const held = clearance.kind === 'released' ? clearance.hold.facts : undefined;
    const facts = held === undefined ? now : stricter(held, now);
    const { effect, rules } = judge(this.#parts.runtime(), this.#parts.clock, { ...cleared, facts });
    if (effect !== 'hold' || clearance.kind !== 'released') return effect === 'allow';
    // People approved what the rules of then ask for, and nothing more.
    const approved = new Set(clearance.hold.rules.map(({ id }) => id));
    return rules.every((rule) => rule.effect !== 'hold' || approved.has(rule.id));
  }

  #bar(call: Call, code: keyof typeof REFUSALS): void {
    this.#barred.set(call, code);
    if (call.reached.departed) cutOff(this.#parts.cuts, call, code);
  }

  /** A copy: the calls may leave, and others enter, while the caller goes through them. */
  #at(keys: readonly MarkKey[], except: Call): readonly Watched[] {
    const found = new Set<Watched>();
    for (const key of keys)
      for (const watched of this.#byPlace.get(placeOf(key)) ?? []) if (watched.call !== except) found.add(watched);
    return [...found];
  }

  #forget(call: Call): void {
    const watched = this.#watched.get(call);
    if (watched === undefined) return;
    this.#watched.delete(call);
    for (const place of watched.places) {
      const others = this.#byPlace.get(place);
      if (others?.delete(watched) && others.size === 0) this.#byPlace.delete(place);
    }
  }
}

const placeOf = ({ scope, key }: MarkKey): string => `${scope} ${key}`;

const isCleared = (reached: Reached): reached is Cleared => reached.clearance !== undefined;
const isDeparted = (reached: Reached): reached is Departed => reached.departed === true;
