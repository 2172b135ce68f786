// identify: the verified caller. A token that was verified before costs one look-up, and its expiry is checked every
// time. A suspended caller is refused here, before a byte of the body is read.

import type { Clock } from '../domain/clock.ts';
import { header } from '../domain/headers.ts';
import type { Identified } from '../domain/identity.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Received, Recognised } from '../domain/stages.ts';
import { refuseSuspended, type SuspensionStore } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';

export type Suspensions = Pick<SuspensionStore, 'covering'>;

export function identify(
  runtime: RuntimeConfig,
  suspensions: Suspensions,
  clock: Clock,
  received: Received,
): Recognised | Promise<Recognised> {
  const { call, arrived } = received;
  if (call.subcall !== undefined) return recognise(suspensions, received, stillGood(call.subcall.identified, clock));
  // A proof is made for what arrived. It is verified against that also where the call goes on in other words.
  const found = runtime.identity.identify(arrived);
  return found instanceof Promise
    ? found.then((identified) => recognise(suspensions, received, identified))
    : recognise(suspensions, received, found);
}

/** A subcall may come long after the call that it is made for, such as for a stream that is open for hours. */
function stillGood(identified: Identified, clock: Clock): Identified {
  if (clock.now() < identified.principal.expiresAt) return identified;
  throw new GatewayError('token_expired', 'The token of the call that this is done for has expired.');
}

function recognise(suspensions: Suspensions, received: Received, { principal, token }: Identified): Recognised {
  const recognised = received.call.reach(
    token === undefined ? { ...received, principal } : { ...received, principal, token },
  );
  const named = header(received.request.headers, 'countersign-task');
  refuseSuspended(suspensions, {
    principal,
    action: { upstream: received.mount.name },
    ...(named !== undefined && { task: { id: named } }),
  });
  return recognised;
}
