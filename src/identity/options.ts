// What identity/ is told at start, and the faults in it that would weaken every later check. Configuration is validated
// before it gets here; these checks stand for callers that skip that, and throw TypeError.

import { isFetchable } from './keys/fetch-json.ts';
import type { RefreshTimes } from './keys/polled.ts';
import { isTrustDomain } from './spiffe-id.ts';
import { DEFAULT_ALGORITHMS, isSignatureAlgorithm, type SignatureAlgorithm } from './tokens/algorithms.ts';
import { type ClaimRules, DEFAULT_CLOCK_SKEW_MS, MAX_CLOCK_SKEW_MS } from './tokens/claims.ts';
import type { IntrospectionOptions } from './tokens/introspection.ts';
import type { TokenReviewOptions } from './tokens/token-review.ts';
import type { FeedTimes } from './workload-api/feed.ts';

interface CommonIssuerOptions {
  /** The entry's name: in principals, logs, metrics and status. */
  readonly name: string;
  /** What its tokens must be addressed to, instead of the `audience` of all. */
  readonly audience?: readonly string[];
  /** From issue to expiry, ms. Default 1 hour. */
  readonly maxLifetimeMs?: number;
  /** How far ahead of ours the issuer's clock may be, ms; at most 60000. Default 30000. Expiry gets no grace. */
  readonly clockSkewMs?: number;
  /** Takes only tokens that are bound to a key (RFC 9449, RFC 8705). Default false. */
  readonly requireProof?: boolean;
}

/** Where an OIDC issuer's keys are: found by discovery unless one of the two is given. */
export interface OidcKeyOptions {
  /** The exact `iss` of its tokens: an https URL (http only on loopback) without query or fragment. */
  readonly issuer: string;
  /** Address of the JWKS; discovery is then not used. https, or http on loopback. */
  readonly jwksUri?: string;
  /** A JWKS file; nothing is then fetched. */
  readonly jwks?: { readonly file: string };
  /** Accepted signature algorithms, asymmetric ones only. Default ES256, ES384, PS256, RS256, EdDSA, Ed25519. */
  readonly algorithms?: readonly string[];
  /**
   * Demands RFC 9068 tokens (`typ: at+jwt`), so that ID tokens cannot pass. Default false for agents, true for
   * reviewers.
   */
  readonly requireAccessTokenType?: boolean;
}

export interface OidcIssuerOptions extends CommonIssuerOptions, OidcKeyOptions {
  readonly type: 'oidc';
  /** Opaque tokens are asked about here (RFC 7662). One entry at most: an opaque token does not say who issued it. */
  readonly introspection?: IntrospectionOptions;
  /** The claim, by name or path, whose text is shown to reviewers beside the principal's id. Never compared. */
  readonly displayClaim?: string;
  /** Tokens of a Kubernetes cluster are confirmed by its API server. */
  readonly tokenReview?: TokenReviewOptions;
}

export interface SpiffeIssuerOptions extends CommonIssuerOptions {
  readonly type: 'spiffe';
  /** Without scheme: `prod.example.org`. */
  readonly trustDomain: string;
  readonly bundle: BundleOptions;
}

/** Where a trust domain's bundle comes from; exactly one of the sources. */
export type BundleOptions =
  /** A SPIFFE bundle in JWKS form. */
  | { readonly file: string }
  /** The Workload API of this host's agent: `unix:///path` or `tcp://ip:port`. */
  | { readonly workloadApi: string }
  /** A bundle endpoint, trusted by the Web PKI. */
  | { readonly endpoint: string; readonly profile: 'https_web' }
  /**
   * A bundle endpoint with an X.509-SVID of its own. Its trust domain is this one, which then needs a first bundle
   * (`bootstrap`, a file), or that of another entry.
   */
  | {
      readonly endpoint: string;
      readonly profile: 'https_spiffe';
      readonly spiffeId: string;
      readonly bootstrap?: string;
    };

export type IssuerOptions = OidcIssuerOptions | SpiffeIssuerOptions;

export interface IdentityOptions {
  /** What a token must be addressed to; any one will do. An issuer entry may have its own. */
  readonly audience: readonly string[];
  readonly issuers: readonly IssuerOptions[];
  /** The field (lower case) that carries the agent's token for calls to this mount, instead of Authorization. */
  readonly tokenHeaderFor?: (mount: string) => string | undefined;
  readonly refresh?: Partial<RefreshTimes>;
  /** Pauses and patience with the Workload API. */
  readonly workloadApi?: Partial<FeedTimes>;
  /**
   * Where agents reach the gateway, without a path: DPoP proofs must name it. Without it, tokens bound to DPoP keys are
   * refused.
   */
  readonly gatewayUrl?: string;
  readonly dpop?: { readonly nonce: boolean };
}

export const HOUR_MS = 3_600_000;

/** Throws TypeError for options under which tokens could be mistaken for one another or fetched keys forged. */
export function checkIdentityOptions(options: IdentityOptions): void {
  checkAudience(options.audience);
  refuseRepeats(
    'name',
    options.issuers.map((issuer) => issuer.name),
  );
  refuseRepeats(
    'issuer',
    options.issuers.flatMap((issuer) => (issuer.type === 'oidc' ? [issuer.issuer] : [])),
  );
  refuseRepeats(
    'trust domain',
    options.issuers.flatMap((issuer) => (issuer.type === 'spiffe' ? [issuer.trustDomain] : [])),
  );
  if (options.issuers.filter((issuer) => issuer.type === 'oidc' && issuer.introspection !== undefined).length > 1) {
    throw new TypeError('two issuers take opaque tokens: none could be told from the other’s');
  }
  for (const issuer of options.issuers) {
    if (issuer.audience !== undefined) checkAudience(issuer.audience);
    if (issuer.type === 'oidc') checkOidcKeyOptions(issuer);
    else if (!isTrustDomain(issuer.trustDomain))
      throw new TypeError(`not the name of a trust domain: ${issuer.trustDomain}`);
  }
}

export function checkAudience(audience: readonly string[]): void {
  if (audience.length === 0 || audience.includes(''))
    throw new TypeError('an audience is required: without one, any token of the issuer would do');
}

export function checkOidcKeyOptions(options: OidcKeyOptions): void {
  if (!isFetchable(options.issuer) || /[?#]/.test(options.issuer))
    throw new TypeError(`not an issuer identifier: ${options.issuer}`);
  if (options.jwksUri !== undefined && !isFetchable(options.jwksUri))
    throw new TypeError(`keys are fetched by https only: ${options.jwksUri}`);
  if (options.jwksUri !== undefined && options.jwks !== undefined)
    throw new TypeError('jwksUri and jwks exclude each other');
}

/** The accepted algorithms. Throws TypeError for HMAC, `none` and unknown names, and for an empty list. */
export function readAlgorithms(algorithms: readonly string[] = DEFAULT_ALGORITHMS): readonly SignatureAlgorithm[] {
  if (algorithms.length === 0) throw new TypeError('an issuer without algorithms accepts nothing');
  return algorithms.map((alg) => {
    if (!isSignatureAlgorithm(alg)) throw new TypeError(`not an asymmetric signature algorithm: ${alg}`);
    return alg;
  });
}

export function readClaimRules(
  options: Pick<CommonIssuerOptions, 'maxLifetimeMs' | 'clockSkewMs'>,
  audience: readonly string[],
  defaultLifetimeMs: number,
): ClaimRules {
  const { maxLifetimeMs = defaultLifetimeMs, clockSkewMs = DEFAULT_CLOCK_SKEW_MS } = options;
  if (!(maxLifetimeMs > 0)) throw new TypeError('maxLifetimeMs must be positive');
  if (!(clockSkewMs >= 0 && clockSkewMs <= MAX_CLOCK_SKEW_MS))
    throw new TypeError(`clockSkewMs must be between 0 and ${MAX_CLOCK_SKEW_MS}`);
  return { audience, maxLifetimeMs, clockSkewMs };
}

function refuseRepeats(what: string, values: readonly string[]): void {
  const repeated = values.find((value, index) => values.indexOf(value) !== index);
  if (repeated !== undefined) throw new TypeError(`two issuers share one ${what}: ${repeated}`);
}
