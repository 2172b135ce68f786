// An OIDC issuer's keys: discovery (OpenID Connect Discovery 1.0 section 4) and JWKS, polled with
// restraint (polled.ts). The discovered issuer must be the configured one.

import type { Clock } from '../../domain/clock.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import { type FetchDocument, fetchJson, namesThisHost } from './issuer-http.ts';
import { KeyFault } from './key-fault.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { Polled, type RefreshTimes } from './polled.ts';
import { statusOf } from './refreshed.ts';

interface OidcIssuer {
  /** The entry's name, for the log. */
  readonly name: string;
  readonly issuer: string;
  /** Where the JWKS is; found by discovery when absent. */
  readonly jwksUri?: string;
}

interface OidcKeysParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: FetchDocument;
}

export function createOidcKeys(
  { name, issuer, jwksUri }: OidcIssuer,
  times: RefreshTimes,
  { clock, log, fetch }: OidcKeysParts,
): KeySource {
  const polled = new Polled<KeySet>(
    {
      name,
      times,
      load: async (signal) => get(jwksUri ?? (await discover(signal)), signal),
      read: (document, previous) => readKeySet(document, 'sig', previous),
      count: ({ keys }) => keys.length,
    },
    { clock, log },
  );

  function get(address: string, signal: AbortSignal): Promise<Json> {
    return fetchJson(fetch, address, signal, times.timeoutMs);
  }

  /** Anew for each fetch: an issuer may move its keys and leave the old ones where they were. */
  async function discover(signal: AbortSignal): Promise<string> {
    const metadata = await get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
    // Section 4.3: anything but the exact issuer means that somebody else's metadata was served.
    if (!isJsonObject(metadata) || metadata.issuer !== issuer) throw new KeyFault('issuer_mismatch');
    const uri = metadata.jwks_uri;
    if (typeof uri !== 'string') throw new KeyFault('no_jwks_uri');
    // What runs on this machine is nothing that an issuer may point to, unless it is the issuer.
    if (namesThisHost(uri) && new URL(uri).origin !== new URL(issuer).origin) throw new KeyFault('address');
    return uri;
  }

  return {
    current: () => polled.current(),
    renew: () => polled.renew(),
    heldBackMs: () => polled.heldBackMs(),
    start: () => polled.start(),
    close: () => polled.close(),
    status: () => statusOf({ keys: polled.current()?.keys.length ?? 0 }, polled),
  };
}
