// How much one agent may have in the store at a time. An honest agent never reaches these limits. An agent that does is
// told what to do and when to come back.

import { GatewayError } from '../errors.ts';
import type { EpochMs } from './clock.ts';
import type { AgentUsage } from './hold-store.ts';

export interface AgentLimits {
  readonly pendingPerAgent: number;
  readonly holdsPerHourPerAgent: number;
  readonly openTasksPerAgent: number;
  readonly storedBytesPerAgent: number;
}

const HOUR_MS = 60 * 60_000;
const RETRY_AFTER_TOO_MANY_S = 30;

/** Throws `too_many_pending`, `too_many_holds`, `too_much_stored` for a hold that would be one too many. */
export function refuseHold(usage: AgentUsage, limits: AgentLimits, now: EpochMs): void {
  const { pending, lastHour, firstOfHour = now } = usage;
  if (pending >= limits.pendingPerAgent) {
    throw new GatewayError('too_many_pending', `${pending} calls of this agent wait for approval already.`, {
      retryAfter: RETRY_AFTER_TOO_MANY_S,
    });
  }
  if (lastHour >= limits.holdsPerHourPerAgent) {
    throw new GatewayError(
      'too_many_holds',
      `Nobody was asked: this agent opened ${lastHour} holds within the last hour.`,
      {
        retryAfter: Math.max(1, Math.ceil((firstOfHour + HOUR_MS - now) / 1_000)),
      },
    );
  }
  refuseStored(usage.storedBytes, limits);
}

/** Throws `too_many_tasks`, `too_much_stored` for a task that would be one too many. */
export function refuseTask(open: number, storedBytes: number, limits: AgentLimits): void {
  if (open >= limits.openTasksPerAgent) {
    throw new GatewayError('too_many_tasks', `No task was opened: ${open} tasks of this agent have not ended.`, {
      retryAfter: RETRY_AFTER_TOO_MANY_S,
    });
  }
  refuseStored(storedBytes, limits);
}

/** Throws `too_much_stored`. */
export function refuseStored(bytes: number, { storedBytesPerAgent }: Pick<AgentLimits, 'storedBytesPerAgent'>): void {
  if (bytes < storedBytesPerAgent) return;
  throw new GatewayError('too_much_stored', 'The store keeps as much of this agent as it may.', {
    retryAfter: HOUR_MS / 1_000,
  });
}
