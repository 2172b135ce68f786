// The kill switch: an agent, a user that agents act for, or a task, that may do nothing until it is lifted.

import { GatewayError } from '../errors.ts';
import type { EpochMs } from './clock.ts';
import type { Party } from './principal.ts';

/** What is suspended: a principal by its id (also where it is one that the caller acts for), or a task by its id. */
export type Suspended = { readonly principal: string } | { readonly task: string };

export type Suspension = Suspended & {
  /** `susp_` and random bits. */
  readonly id: string;
  readonly reason: string;
  /** The reviewer's id. */
  readonly by: string;
  readonly at: EpochMs;
};

/** A caller as suspensions see it. */
export interface Suspendable extends Pick<Party, 'id'> {
  /** A second identity that it proved. */
  readonly spiffeId?: string;
  readonly onBehalfOf: readonly Pick<Party, 'id'>[];
}

/** Durable suspensions, with those in force in memory. */
export interface SuspensionStore {
  /** The one that covers this call, if any. Synchronous and cheap: it is asked on the way of every call. */
  covering(caller: Suspendable, taskId: string | undefined): Suspension | undefined;
  /**
   * In force when it returns, durable when it resolves; in the same transaction PENDING and APPROVED holds under it
   * become REVOKED. Suspending what is suspended gives the suspension that is there. Throws `store_unavailable`, and
   * then nothing is suspended.
   */
  suspend(
    what: Suspended,
    by: string,
    reason: string,
  ): Promise<{ readonly suspension: Suspension; readonly revoked: number; readonly isNew: boolean }>;
  /** Undefined when none of this id is in force. */
  get(id: string): Suspension | undefined;
  /** Ends one. Holds that it revoked stay revoked. Throws `not_found`. */
  lift(id: string, by: string): Promise<Suspension>;
  /** Those in force, newest first. */
  list(): readonly Suspension[];
}

/** Throws `principal_suspended`. */
export function refuseSuspended(
  suspensions: Pick<SuspensionStore, 'covering'>,
  caller: Suspendable,
  taskId: string | undefined,
): void {
  const suspension = suspensions.covering(caller, taskId);
  if (suspension === undefined) return;
  const what = 'task' in suspension ? 'This task' : 'This agent, or someone it acts for,';
  throw new GatewayError('principal_suspended', `${what} was suspended by a person.`);
}
