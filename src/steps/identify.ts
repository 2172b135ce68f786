// identify: the verified caller. A token that was verified before costs one look-up, and its expiry is checked every time.
// Whoever is suspended is refused here, before a byte of the body is read.

import { header } from '../domain/headers.ts';
import type { Identified } from '../domain/identity.ts';
import type { Received, Recognised, Regime } from '../domain/stages.ts';
import { refuseSuspended, type SuspensionStore } from '../domain/suspension.ts';

export type Suspensions = Pick<SuspensionStore, 'covering'>;

export function identify(regime: Regime, suspensions: Suspensions, received: Received): Recognised | Promise<Recognised> {
  const { errand, facts } = received.call;
  if (errand !== undefined) return recognise(suspensions, received, errand.identified);
  // What arrived, also where the call goes on in other words: a proof is made for that, and known again by it.
  const found = regime.identity.identify(facts.request ?? received.request);
  return found instanceof Promise ? found.then((identified) => recognise(suspensions, received, identified)) : recognise(suspensions, received, found);
}

function recognise(suspensions: Suspensions, received: Received, { principal, token }: Identified): Recognised {
  received.call.facts.principal = principal;
  refuseSuspended(suspensions, principal, header(received.request.headers, 'countersign-task'));
  return token === undefined ? { ...received, principal } : { ...received, principal, token };
}
