// identify: the verified caller. A token that was verified before costs one look-up, and its expiry is checked every time.

import type { Identified } from '../domain/identity.ts';
import type { Received, Recognised, Regime } from '../domain/stages.ts';

export function identify(regime: Regime, received: Received): Recognised | Promise<Recognised> {
  const found = regime.identity.identify(received.request);
  return found instanceof Promise ? found.then((identified) => recognise(received, identified)) : recognise(received, found);
}

function recognise(received: Received, { principal, token }: Identified): Recognised {
  received.call.facts.principal = principal;
  return token === undefined ? { ...received, principal } : { ...received, principal, token };
}
