// The end of a session takes its holds along: what was asked for in it is not wanted any more. The holds are looked up in the store,
// so those count too whose agents do not wait on a connection.

import type { Action } from '../domain/action.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { HoldStore } from '../domain/hold.ts';
import type { Principal } from '../domain/principal.ts';
import { sessionOf } from './open-requests.ts';

export interface CancellationDependencies {
  readonly approvals: Pick<Approvals, 'cancel'>;
  readonly holds: Pick<HoldStore, 'list'>;
}

/** Cancels the caller's open holds of the session that `action` names; none where it names no session. */
export async function cancelHolds({ approvals, holds }: CancellationDependencies, principal: Principal, action: Action): Promise<void> {
  const session = sessionOf(action.boundHeaders);
  if (session === '') return;
  for (let after: string | undefined; ; ) {
    const page = await holds.list({ states: ['PENDING', 'APPROVED'], principalId: principal.id, limit: 200, ...(after !== undefined && { after }) });
    const own = page.holds.filter((hold) => hold.action.upstream === action.upstream && sessionOf(hold.action.boundHeaders) === session);
    // One that ends by itself in this moment is no fault.
    await Promise.allSettled(own.map(({ id }) => approvals.cancel(id, principal)));
    after = page.next;
    if (after === undefined) return;
  }
}
