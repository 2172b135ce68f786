// fetch for the issuers of credentials whose certificates come from an authority of their own, like a Kubernetes API server's.
// TLS is always verified; redirects are the caller's business.

import { Agent, fetch } from 'undici';

/** A fetch that trusts these authorities (PEM) instead of the system's. Connections end by themselves soon after their last use. */
export function fetchTrusting(ca: string): typeof globalThis.fetch {
  const dispatcher = new Agent({ connect: { ca, rejectUnauthorized: true, minVersion: 'TLSv1.2' }, keepAliveTimeout: 4_000 });
  return ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as unknown as typeof globalThis.fetch;
}
