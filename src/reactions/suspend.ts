// Puts a suspension into effect, whoever orders it: in the store with the holds under it, on connections, on
// credentials, and on record. A suspension can only prevent effects, so it does not wait for its record.

import type { AuditLog } from '../domain/audit.ts';
import { type Clock, isoTime } from '../domain/clock.ts';
import { type Stopped, type Suspending, type SuspensionStore, suspendedOf } from '../domain/suspension.ts';

export interface SuspendParts {
  readonly suspensions: Pick<SuspensionStore, 'suspend'>;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  /** Takes back the credentials that are outstanding; false when some of them could not be taken back yet. */
  revokeCredentials(whose: { readonly suspended: Stopped }): Promise<boolean>;
  /** Cuts the calls under way that suspensions cover now; gives how many. */
  cutConnections(): number;
}

export function createSuspending(parts: SuspendParts): Suspending {
  return async (what, order) => {
    const done = await parts.suspensions.suspend(what, order);
    const cut = parts.cutConnections();
    const { id, by, reason, until } = done.suspension;
    // With the key of the agent whose id was suspended.
    const stopped = suspendedOf(done.suspension);
    const recorded = parts.audit.append(
      'suspension',
      parts.clock.now(),
      {
        ...{ verb: 'suspended', ...stopped, suspension: id, by, reason },
        ...(until !== undefined && { until: isoTime(until) }),
        ...{ revokedHolds: done.revoked, cutConnections: cut },
      },
      'fsync',
    );
    // Both are waited for by whoever wants to know.
    recorded.catch(() => {});
    return { ...done, cut, recorded, credentialsRevoked: parts.revokeCredentials({ suspended: stopped }) };
  };
}
