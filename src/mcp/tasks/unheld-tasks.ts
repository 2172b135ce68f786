// Tasks of calls that no rule held: only this process knows them, since nobody decides on them and nothing is released
// later. Bounded for each agent, because no connection bounds them.

import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../domain/clock.ts';
import type { Mount } from '../../domain/mount.ts';
import type { Principal } from '../../domain/principal.ts';
import { GatewayError } from '../../errors.ts';
import { RUNNING } from './questions.ts';
import type { TaskFacts } from './views.ts';

/** Longest life of a task. */
const TTL_MS = 60 * 60_000;
/** Tasks of one agent that are known at a time, and agents with tasks. */
const REMEMBERED = 500;
const MOST_OWNERS = 10_000;
/** Calls of one agent that run as tasks at a time, besides those that people approved. */
const MOST_RUNNING = 50;

export class UnheldTasks {
  readonly #clock: Clock;
  /** How many calls are being executed, by their owner. */
  readonly #executing = new Map<string, number>();
  /** By owner, so that one agent's tasks never push out another's. */
  readonly #known = new LRUCache<string, LRUCache<string, TaskFacts>>({ max: MOST_OWNERS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A task for a call that is about to be sent. Call `ended` when it is over. Throws `too_many_pending`. */
  begin(owner: string): TaskFacts {
    const others = this.#executing.get(owner) ?? 0;
    if (others >= MOST_RUNNING) {
      throw new GatewayError('too_many_pending', `${others} calls of this agent run as tasks already.`, {
        retryAfter: 5,
      });
    }
    this.#executing.set(owner, others + 1);
    const now = this.#clock.now();
    const taskId = RUNNING + randomBytes(16).toString('base64url');
    const facts = { taskId, createdAt: now, updatedAt: now, ttlMs: TTL_MS };
    const own = this.#known.get(owner) ?? new LRUCache<string, TaskFacts>({ max: REMEMBERED, ttl: TTL_MS });
    own.set(taskId, facts);
    this.#known.set(owner, own);
    return facts;
  }

  ended(owner: string): void {
    const others = (this.#executing.get(owner) ?? 1) - 1;
    if (others === 0) this.#executing.delete(owner);
    else this.#executing.set(owner, others);
  }

  find(owner: string, taskId: string): TaskFacts | undefined {
    return this.#known.get(owner)?.get(taskId);
  }
}

/** Whose task it is: the same caller, with the same key, for the same people, at the same mount. */
export function ownerOf({ id, issuer, keyThumbprint, onBehalfOf }: Principal, { name }: Mount): string {
  return JSON.stringify([
    name,
    id,
    issuer,
    keyThumbprint,
    onBehalfOf.map((party) => [party.id, party.issuer, party.subject]),
  ]);
}
