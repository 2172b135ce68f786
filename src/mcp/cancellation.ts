// What cancels holds without being a call of its own: the end of a session takes its holds along, and a notification names one that waits. The
// holds of a session are looked up in the store, so those count too whose agents do not wait on a connection.

import type { Action } from '../domain/action.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { HoldStore } from '../domain/hold.ts';
import { isJsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Principal } from '../domain/principal.ts';
import { readMember } from '../domain/server-names.ts';
import type { Armed } from '../domain/stages.ts';
import { asGatewayError } from '../errors.ts';
import { type OpenRequests, sessionOf } from './open-requests.ts';

export interface CancellationDependencies {
  readonly approvals: Pick<Approvals, 'cancel'>;
  readonly holds: Pick<HoldStore, 'list'>;
  readonly log: Logger;
  /** Calls that are held, or are about to be, by the number of their request, whichever server of its mount it is for. */
  readonly waiting: OpenRequests<WaitingCall>;
}

export interface WaitingCall {
  /** Absent until the hold is on record. */
  holdId?: string;
  /** The client has taken it back, perhaps before there was a hold. */
  cancelled: boolean;
}

/** Never rejects. */
export async function heedCancellation(deps: CancellationDependencies, { call: { errand }, action, principal }: Armed): Promise<void> {
  // The mount's own call has been here before it was passed on.
  if (errand !== undefined) return;
  try {
    if (action.method === 'DELETE') await cancelHolds(deps, principal, action);
    if (action.rpcMethod !== 'notifications/cancelled' || !isJsonObject(action.args)) return;
    const { requestId } = action.args;
    const call = typeof requestId === 'string' || typeof requestId === 'number' ? deps.waiting.get(principal, action, requestId) : undefined;
    if (call === undefined) return;
    call.cancelled = true;
    if (call.holdId !== undefined) await deps.approvals.cancel(call.holdId, principal);
  } catch (thrown) {
    // What has ended meanwhile needs no cancelling.
    deps.log.warn('mcp.cancel_failed', { upstream: action.upstream, error: asGatewayError(thrown).code });
  }
}

/** Cancels the caller's open holds of the session that `action` names; none where it names no session. */
async function cancelHolds({ approvals, holds }: CancellationDependencies, principal: Principal, action: Action): Promise<void> {
  const session = sessionOf(action.boundHeaders);
  if (session === '') return;
  const { mount } = readMember(action.upstream);
  for (let after: string | undefined; ; ) {
    const page = await holds.list({ states: ['PENDING', 'APPROVED'], principalId: principal.id, limit: 200, ...(after !== undefined && { after }) });
    const own = page.holds.filter((hold) => readMember(hold.action.upstream).mount === mount && sessionOf(hold.action.boundHeaders) === session);
    // One that ends by itself in this moment is no fault.
    await Promise.allSettled(own.map(({ id }) => approvals.cancel(id, principal)));
    after = page.next;
    if (after === undefined) return;
  }
}
