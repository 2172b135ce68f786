// fetch for the issuers of credentials whose certificates come from an authority of their own, like a Kubernetes API
// server's. TLS is always verified; redirects are the caller's business.

import { Agent, fetch } from 'undici';
import type { PemSource } from '../domain/pem.ts';

/**
 * A fetch that trusts these authorities, as they are now, instead of the system's. Connections end by themselves soon
 * after their last use.
 */
export function fetchTrusting(authorities: PemSource): typeof globalThis.fetch {
  let last: { readonly ca: string; readonly dispatcher: Agent } | undefined;
  return ((url: string, init: object) => {
    const ca = authorities.read();
    if (last?.ca !== ca) {
      void last?.dispatcher.close();
      last = {
        ca,
        dispatcher: new Agent({
          connect: { ca, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
          keepAliveTimeout: 4_000,
        }),
      };
    }
    return fetch(url, { ...init, dispatcher: last.dispatcher });
  }) as unknown as typeof globalThis.fetch;
}
