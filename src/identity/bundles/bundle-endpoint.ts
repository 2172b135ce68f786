// A trust domain's bundle from its bundle endpoint (SPIFFE standards, SPIFFE_Federation section 5), asked as often as
// the bundle itself wishes. `https_web`: trusts the Web PKI for the endpoint's name. `https_spiffe`: trusts the
// endpoint only as the configured SPIFFE ID, validated by that ID's own trust domain's bundle: at first the one that
// was configured, from then on the latest fetched.

import type { Clock } from '../../domain/clock.ts';
import type { Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import { type FetchDocument, fetchJson } from '../keys/issuer-http.ts';
import { KeyFault } from '../keys/key-fault.ts';
import { Polled, type RefreshTimes } from '../keys/polled.ts';
import type { Authorities } from '../x509/svid.ts';
import { fetchJsonFromSvid } from './fetch-json-spiffe.ts';
import { bundleSource, readBundleDocument, type TrustBundle, type TrustBundleSource } from './trust-bundle.ts';

/** Who an endpoint must be, and who vouches for that now. */
export interface EndpointTrust {
  readonly spiffeId: string;
  authorities(): Authorities | undefined;
}

export interface BundleEndpointOptions {
  /** The entry's name, for the log. */
  readonly name: string;
  readonly trustDomain: string;
  /** An https address. */
  readonly endpoint: string;
  /** For https_spiffe. */
  readonly spiffe?: EndpointTrust;
  readonly times: RefreshTimes;
}

interface BundleEndpointParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: FetchDocument;
}

export function createBundleEndpoint(
  { name, trustDomain, endpoint, spiffe, times }: BundleEndpointOptions,
  parts: BundleEndpointParts,
): TrustBundleSource {
  const polled = new Polled<TrustBundle>(
    {
      name,
      times,
      load: (signal) =>
        spiffe === undefined
          ? fetchJson(parts.fetch, endpoint, signal, times.timeoutMs)
          : fetchFromSvid(signal, spiffe),
      read: readBundleDocument,
      count: ({ jwtKeys, authorities }) => jwtKeys.keys.length + authorities.length,
      refreshMs: ({ refreshHintMs }) => refreshHintMs,
    },
    parts,
  );

  function fetchFromSvid(signal: AbortSignal, { spiffeId, authorities }: EndpointTrust): Promise<Json> {
    const trusted = authorities();
    if (trusted === undefined) throw new KeyFault('endpoint_authorities');
    return fetchJsonFromSvid(endpoint, {
      spiffeId,
      authorities: trusted,
      clock: parts.clock,
      signal,
      timeoutMs: times.timeoutMs,
    });
  }

  return bundleSource(trustDomain, polled);
}
