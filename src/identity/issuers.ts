// The configured issuers and trust domains, ready to verify: one verifier per entry, found by what a token claims or a
// certificate names. Trusts the configuration. A SPIFFE ID is vouched for by its own trust domain's entry and by
// nothing else.

import type { Clock } from '../domain/clock.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import { createBundleSources } from './bundles/bundle-sources.ts';
import type { TrustBundleSource } from './bundles/trust-bundle.ts';
import type { FetchDocument } from './keys/fetch-json.ts';
import { createOidcKeys } from './keys/oidc-keys.ts';
import {
  HOUR_MS,
  type IdentityOptions,
  type OidcIssuerOptions,
  readAlgorithms,
  readClaimRules,
  type SpiffeIssuerOptions,
} from './options.ts';
import { refusal } from './refusal.ts';
import { looksLikeSpiffeId } from './spiffe-id.ts';
import { createIntrospection, type Introspection } from './tokens/introspection.ts';
import { createJwtSvidVerifier, readSpiffeSubject } from './tokens/jwt-svid.ts';
import { createOidcVerifier } from './tokens/oidc.ts';
import { createTokenReview } from './tokens/token-review.ts';
import type { TokenVerifier } from './tokens/token-verifier.ts';
import type { TrustedDomain } from './x509/x509-svids.ts';

export interface IssuerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: FetchDocument;
}

export interface Issuers {
  /** In the order of the configuration. */
  readonly verifiers: readonly TokenVerifier[];
  /**
   * By what the token claims, unverified: a wrong claim only leads to keys that did not sign it. Throws
   * `token_untrusted`, `token_claims`.
   */
  forClaims(claims: JsonObject): TokenVerifier;
  domain(trustDomain: string): TrustedDomain | undefined;
  /** Where opaque tokens are asked about, if anywhere. */
  readonly introspection?: Introspection;
  start(): Promise<void>;
  close(): void;
}

export function createIssuers(options: IdentityOptions, parts: IssuerParts): Issuers {
  const introspection = findIntrospection(options, parts);
  const byIssuer = new Map<string, TokenVerifier>();
  const bundles = createBundleSources(options, parts, (trustDomain) => domains.get(trustDomain)?.bundle);
  const domains = new Map<string, TrustedDomain & { readonly verifier: TokenVerifier }>();
  const verifiers = options.issuers.map((issuer) => {
    if (issuer.type === 'oidc') {
      const verifier = createOidc(issuer, options, parts, introspection);
      byIssuer.set(issuer.issuer, verifier);
      return verifier;
    }
    const domain = createDomain(issuer, bundles.create(issuer), options, parts.clock);
    domains.set(issuer.trustDomain, domain);
    return domain.verifier;
  });

  return {
    verifiers,
    ...(introspection && { introspection }),
    forClaims(claims) {
      const { sub, iss } = claims;
      const verifier =
        typeof sub === 'string' && looksLikeSpiffeId(sub)
          ? domains.get(readSpiffeSubject(claims).trustDomain)?.verifier
          : typeof iss === 'string'
            ? byIssuer.get(iss)
            : undefined;
      if (verifier === undefined)
        throw refusal(
          'token_untrusted',
          'issuer',
          'The token’s issuer or trust domain is not one of those trusted here.',
        );
      return verifier;
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

function createOidc(
  issuer: OidcIssuerOptions,
  options: IdentityOptions,
  parts: IssuerParts,
  introspection: Introspection | undefined,
): TokenVerifier {
  const rules = {
    ...readClaimRules(issuer, issuer.audience ?? options.audience, HOUR_MS),
    issuer: issuer.issuer,
    algorithms: readAlgorithms(issuer.algorithms),
    requireAccessTokenType: issuer.requireAccessTokenType ?? false,
  };
  const reviews = [
    ...(issuer.introspection?.tokens === 'all' && introspection !== undefined ? [introspection.confirm] : []),
    ...(issuer.tokenReview === undefined
      ? []
      : [createTokenReview(issuer.tokenReview, issuer.name, rules.audience, parts.log)]),
  ];
  return createOidcVerifier(
    issuer,
    createOidcKeys(issuer.name, issuer, options.refresh ?? {}, parts),
    rules,
    parts.clock,
    reviews,
  );
}

function findIntrospection(options: IdentityOptions, parts: IssuerParts): Introspection | undefined {
  for (const issuer of options.issuers) {
    if (issuer.type !== 'oidc' || issuer.introspection === undefined) continue;
    const rules = readClaimRules(issuer, issuer.audience ?? options.audience, HOUR_MS);
    return createIntrospection(issuer.introspection, { ...issuer, rules }, parts);
  }
  return undefined;
}

function createDomain(issuer: SpiffeIssuerOptions, bundle: TrustBundleSource, options: IdentityOptions, clock: Clock) {
  const { name } = issuer;
  const rules = readClaimRules(issuer, issuer.audience ?? options.audience, HOUR_MS);
  return { name, bundle, verifier: createJwtSvidVerifier(name, bundle, rules, clock) };
}
