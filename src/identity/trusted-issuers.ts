// The configured issuers and trust domains, ready to verify: one verifier for each entry, found by what a token claims or
// a certificate names. Trusts the configuration.

import type { Clock } from '../domain/clock.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import { createBundleSources } from './bundles/bundle-sources.ts';
import { checkIssuers, claimedIssuerKeys, createIssuer, type IssuerSettings, issuerKey } from './issuers.ts';
import type { FetchDocument } from './keys/issuer-http.ts';
import { REFRESH_TIMES, type RefreshTimes } from './keys/polled.ts';
import { refusal } from './refusal.ts';
import type { Introspection } from './tokens/introspection.ts';
import type { TokenVerifier } from './tokens/token-verifier.ts';
import type { FeedTimes } from './workload-api/feed.ts';
import type { TrustedDomain } from './x509/x509-svids.ts';

export interface TrustedIssuersOptions {
  readonly audience: readonly string[];
  readonly issuers: readonly IssuerSettings[];
  readonly refresh?: Partial<RefreshTimes>;
  /** Pauses and patience with the Workload API. */
  readonly workloadApi?: Partial<FeedTimes>;
}

export interface TrustedIssuers {
  /** In the order of the configuration. */
  readonly verifiers: readonly TokenVerifier[];
  /** By what the token claims, unverified. Throws `token_untrusted`, `token_claims`. */
  forClaims(claims: JsonObject): TokenVerifier;
  domain(trustDomain: string): TrustedDomain | undefined;
  /** Where opaque tokens are asked about, if anywhere. */
  readonly introspection?: Introspection;
  start(): Promise<void>;
  close(): void;
}

/** Throws TypeError for entries that could be mistaken for one another. */
export function createTrustedIssuers(
  { audience, issuers, refresh, workloadApi }: TrustedIssuersOptions,
  parts: { readonly clock: Clock; readonly log: Logger; readonly fetch: FetchDocument },
): TrustedIssuers {
  for (const { message } of checkIssuers(issuers)) throw new TypeError(message);
  const times = { ...REFRESH_TIMES, ...refresh };
  const domains = new Map<string, TrustedDomain>();
  const bundles = createBundleSources(times, workloadApi, parts, (name) => domains.get(name)?.bundle);
  const byKey = new Map(
    issuers.map((entry) => [issuerKey(entry), createIssuer(entry, { ...parts, audience, refresh: times, bundles })]),
  );
  const trusted = [...byKey.values()];
  for (const { domain } of trusted) if (domain !== undefined) domains.set(domain.bundle.trustDomain, domain);
  const introspection = trusted.find((one) => one.introspection !== undefined)?.introspection;
  const verifiers = trusted.map(({ verifier }) => verifier);

  return {
    verifiers,
    ...(introspection && { introspection }),
    forClaims(claims) {
      for (const key of claimedIssuerKeys(claims)) {
        const found = byKey.get(key);
        if (found !== undefined) return found.verifier;
      }
      const detail = 'The token’s issuer or trust domain is not one of those trusted here.';
      throw refusal('token_untrusted', 'issuer', detail);
    },
    domain: (trustDomain) => domains.get(trustDomain),
    async start() {
      await Promise.all(verifiers.map(({ keys }) => keys.start()));
    },
    close() {
      for (const { keys } of verifiers) keys.close();
      bundles.close();
    },
  };
}
