// How many calls may be under way: of one agent, and to one upstream. An agent that has its number is refused at once. A call to an upstream
// that has its number waits, for a bounded time and among a bounded number; what people approved waits in front of the others.

import type { Call, Journaled, Recognised } from '../domain/stages.ts';
import { GatewayError } from '../errors.ts';

const RETRY_AFTER_SECONDS = 1;

/** Calls under way of each agent. What a call asks of servers by itself is part of it. */
export class AgentCalls {
  readonly #counts = new Map<string, number>();

  /** Counts a call until it leaves. Throws `too_many_calls`. */
  enter(recognised: Recognised): Recognised {
    const { call, principal } = recognised;
    if (call.errand === undefined) {
      this.add(principal.id, call.regime.callsPerAgent);
      call.counted = true;
    }
    return recognised;
  }

  leave({ counted, facts: { principal } }: Call): void {
    if (counted === true && principal !== undefined) this.remove(principal.id);
  }

  /** Throws `too_many_calls`. */
  add(agent: string, most: number): void {
    const count = this.#counts.get(agent) ?? 0;
    if (count >= most) throw tooMany(`This agent has ${count} calls under way already, the most that one agent may have (limits.callsPerAgent).`);
    this.#counts.set(agent, count + 1);
  }

  remove(agent: string): void {
    const count = (this.#counts.get(agent) ?? 0) - 1;
    if (count > 0) this.#counts.set(agent, count);
    else this.#counts.delete(agent);
  }
}

/** One upstream's. */
class Room {
  used = 0;
  /** What people approved. */
  readonly first = new Set<() => void>();
  readonly others = new Set<() => void>();
}

/** Calls under way to each upstream, from before their credential is minted until they are over. */
export class UpstreamRooms {
  readonly #rooms = new Map<string, Room>();

  /** Takes a place, at once where one is free. Throws `too_many_calls` and `client_closed`. */
  enter(journaled: Journaled): undefined | Promise<void> {
    const { mount, call } = journaled;
    if (mount.pool === undefined) return undefined;
    const room = this.#roomOf(mount.name);
    if (room.used >= mount.pool.connections) return waitFor(room, journaled, mount.pool);
    room.used += 1;
    call.room = mount.name;
    return undefined;
  }

  leave({ room: name }: Call): void {
    if (name === undefined) return;
    const room = this.#roomOf(name);
    const [next] = room.first.size > 0 ? room.first : room.others;
    // The place goes over to the next, so that nobody who comes now gets in between.
    if (next === undefined) room.used -= 1;
    else next();
  }

  #roomOf(name: string): Room {
    const known = this.#rooms.get(name);
    if (known !== undefined) return known;
    const room = new Room();
    this.#rooms.set(name, room);
    return room;
  }
}

type Pool = NonNullable<Journaled['mount']['pool']>;

function waitFor(room: Room, { call, mount, request, clearance }: Journaled, { connections, queue, waitMs }: Pool): Promise<void> {
  const approved = clearance.kind === 'released';
  const line = approved ? room.first : room.others;
  const full = `This upstream has ${connections} calls under way already, the most that it is given (upstreams.${mount.name}.pool).`;
  if (!approved && line.size >= queue) throw tooMany(full);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      line.delete(take);
      clearTimeout(timer);
      forget();
    };
    const take = (): void => {
      leave();
      call.room = mount.name;
      resolve();
    };
    const timer = setTimeout(() => {
      leave();
      reject(tooMany(full));
    }, waitMs);
    const forget = request.onClosed(() => {
      leave();
      reject(new GatewayError('client_closed', 'The agent went away before the call was sent.'));
    });
    line.add(take);
  });
}

function tooMany(why: string): GatewayError {
  return new GatewayError('too_many_calls', `Nothing was executed. ${why} Send the request again after Retry-After.`, { retryAfter: RETRY_AFTER_SECONDS });
}
