// What cancels holds without being a call of its own: the end of a session cancels the holds whose requests are still
// open in it, and a notification names one that waits.

import type { Action } from '../domain/action.ts';
import type { Approvals } from '../domain/approvals.ts';
import { isJsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import { sessionOf } from '../domain/mcp-session.ts';
import type { Principal } from '../domain/principal.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Armed } from '../domain/stages.ts';
import { asGatewayError } from '../errors.ts';
import type { OpenRequests } from './open-requests.ts';

export interface CancellationDependencies {
  readonly approvals: Pick<Approvals, 'cancel' | 'endSession'>;
  readonly log: Logger;
  /** Calls that are held, or are about to be, by the number of their request, for any server of the mount. */
  readonly waiting: OpenRequests<WaitingCall>;
}

export interface WaitingCall {
  /** Absent until the hold is on record. */
  holdId?: string;
  /** The client has cancelled the call, perhaps before there was a hold. */
  cancelled: boolean;
}

/** Never rejects. */
export async function heedCancellation(
  deps: CancellationDependencies,
  { call: { subcall }, action, principal }: Armed,
): Promise<void> {
  // The call of the mount was handled here before it was passed to its server.
  if (subcall !== undefined) return;
  try {
    if (action.method === 'DELETE') await cancelHolds(deps, principal, action);
    if (action.mcp?.method !== 'notifications/cancelled' || !isJsonObject(action.args)) return;
    const { requestId } = action.args;
    const call =
      typeof requestId === 'string' || typeof requestId === 'number'
        ? deps.waiting.get(principal, action, requestId)
        : undefined;
    if (call === undefined) return;
    call.cancelled = true;
    if (call.holdId !== undefined) await deps.approvals.cancel(call.holdId, principal);
  } catch (thrown) {
    // A hold that has ended since then needs no cancelling.
    deps.log.warn('mcp.cancel_failed', { upstream: action.upstream, error: asGatewayError(thrown).code });
  }
}

/**
 * Cancels the holds whose requests are still open in the session that `action` names. A hold whose request has been
 * answered with "pending" stays: clients that open a session for each call end it behind that answer, and come back for
 * the approval in another one. It stays unless its tier binds it to the session.
 */
async function cancelHolds(
  { approvals, waiting }: CancellationDependencies,
  principal: Principal,
  action: Action,
): Promise<void> {
  const id = sessionOf(action.boundHeaders);
  if (id === '') return;
  const cancelling = waiting.inSession(principal, action).map((call) => {
    call.cancelled = true;
    return call.holdId === undefined ? undefined : approvals.cancel(call.holdId, principal);
  });
  // One that ends by itself in this moment is no fault.
  await Promise.allSettled(cancelling);
  await approvals.endSession(principal, readUpstreamName(action.upstream).mount, { by: 'mcp', id });
}
