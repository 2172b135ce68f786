// How many calls may be under way: of one agent, and to one upstream. A call of an agent that has its full number is
// refused at once. A call to an upstream that has its full number waits, for a bounded time and in a bounded queue.
// Approved calls wait in front of the others.

import type { Call } from '../domain/call.ts';
import type { SingleMount } from '../domain/mount.ts';
import type { Classified, Reached, Recognised } from '../domain/stages.ts';
import { GatewayError } from '../errors.ts';

const RETRY_AFTER_SECONDS = 1;

type Pool = SingleMount['pool'];

/** A number for each name that has one above 0. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string): void {
    this.#counts.set(name, this.of(name) + 1);
  }

  remove(name: string): void {
    const count = this.of(name) - 1;
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
  }
}

/** Calls under way of each agent. Subcalls belong to the call that they are made for and do not count. */
export class AgentCalls {
  readonly #counts = new Counts();

  /** Counts a call until it leaves. Throws `too_many_calls`. */
  enter(recognised: Recognised): Recognised {
    const { call, principal } = recognised;
    this.add(principal.agentKey, call.runtime.callsPerAgent);
    call.counted = true;
    return recognised;
  }

  leave({ call, principal }: Reached): void {
    if (call.counted && principal !== undefined) this.remove(principal.agentKey);
  }

  /** Throws `too_many_calls`. */
  add(agent: string, most: number): void {
    if (this.#counts.of(agent) >= most)
      throw tooMany(`This agent has ${most} calls under way, the most that one agent may have (limits.callsPerAgent).`);
    this.#counts.add(agent);
  }

  remove(agent: string): void {
    this.#counts.remove(agent);
  }
}

/** How much of an upstream, and of the queue before it, one agent may take. */
const ONE_AGENTS_PART = 0.75;

interface WaitingCall {
  readonly agent: string;
  take(): void;
}

/** The places of one upstream. */
class SlotPool {
  used = 0;
  /** By agent. */
  readonly using = new Counts();
  readonly queueing = new Counts();
  /** What people approved. */
  readonly first = new Set<WaitingCall>();
  readonly others = new Set<WaitingCall>();

  hasPlaceFor(agent: string, { connections }: Pool): boolean {
    return this.used < connections && this.using.of(agent) < Math.ceil(connections * ONE_AGENTS_PART);
  }

  hasQueueFor(agent: string, { queue }: Pool): boolean {
    return this.others.size < queue && this.queueing.of(agent) < Math.ceil(queue * ONE_AGENTS_PART);
  }

  /** The call that has waited longest among those whose agent may have one more place. */
  next(pool: Pool): WaitingCall | undefined {
    for (const line of [this.first, this.others])
      for (const waiting of line) if (this.hasPlaceFor(waiting.agent, pool)) return waiting;
    return undefined;
  }
}

/** Calls under way to each upstream, from before their credential is minted until the call is over. */
export class UpstreamSlots {
  readonly #pools = new Map<string, SlotPool>();

  /**
   * Takes a place, at once where one is free. A call that has one already keeps it. Throws `too_many_calls` and
   * `client_closed`.
   */
  enter(classified: Classified, approved: boolean): undefined | Promise<void> {
    const { mount, call, principal } = classified;
    if (mount.kind !== 'single' || call.slot !== undefined) return undefined;
    const { pool } = mount;
    const slots = this.#poolOf(mount.name);
    if (!slots.hasPlaceFor(principal.agentKey, pool)) return waitFor(slots, classified, pool, approved);
    occupy(slots, call, mount.name, principal.agentKey);
    return undefined;
  }

  leave({ call, mount, principal }: Reached): void {
    if (call.slot === undefined || principal === undefined) return;
    const slots = this.#poolOf(call.slot);
    slots.used -= 1;
    slots.using.remove(principal.agentKey);
    if (mount?.kind === 'single' && slots.first.size + slots.others.size > 0) slots.next(mount.pool)?.take();
  }

  #poolOf(name: string): SlotPool {
    const known = this.#pools.get(name);
    if (known !== undefined) return known;
    const slots = new SlotPool();
    this.#pools.set(name, slots);
    return slots;
  }
}

function occupy(slots: SlotPool, call: Call, name: string, agent: string): void {
  slots.used += 1;
  slots.using.add(agent);
  call.slot = name;
}

function waitFor(
  slots: SlotPool,
  { call, mount, principal, request }: Classified,
  pool: Pool,
  approved: boolean,
): Promise<void> {
  const line = approved ? slots.first : slots.others;
  const full = `This upstream has as many calls under way as it is given (upstreams.${mount.name}.pool).`;
  if (!approved && !slots.hasQueueFor(principal.agentKey, pool)) throw tooMany(full);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      line.delete(waiting);
      if (!approved) slots.queueing.remove(principal.agentKey);
      clearTimeout(timer);
      forget();
    };
    const waiting: WaitingCall = {
      agent: principal.agentKey,
      // Taken in the turn in which the place becomes free, so that no call that arrives now gets in between.
      take() {
        leave();
        occupy(slots, call, mount.name, principal.agentKey);
        resolve();
      },
    };
    const timer = setTimeout(() => {
      leave();
      reject(
        tooMany(
          approved ? `${full} The approval stays, and the identical request can still use it.` : full,
          call.reached.hold?.id,
        ),
      );
    }, pool.waitMs);
    const forget = request.onClosed(() => {
      leave();
      reject(
        new GatewayError(
          'client_closed',
          'The agent went away before the call was sent.',
          holdNamed(call.reached.hold?.id),
        ),
      );
    });
    line.add(waiting);
    if (!approved) slots.queueing.add(principal.agentKey);
  });
}

function tooMany(why: string, holdId?: string): GatewayError {
  return new GatewayError('too_many_calls', why, { retryAfter: RETRY_AFTER_SECONDS, ...holdNamed(holdId) });
}

const holdNamed = (holdId: string | undefined) => (holdId === undefined ? {} : { holdId });
