// The Identity port: who makes this call, proven now. Decides which issuer or trust domain a token may be verified by, and remembers for a
// minute what was. Trusts only the configured issuers; a SPIFFE ID is vouched for by its own trust domain's bundle and by nothing else.

import type { Clock } from '../domain/clock.ts';
import type { Identified, Identity, IssuerStatus } from '../domain/identity.ts';
import { deepFreeze, type JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { InboundRequest } from '../domain/request.ts';
import { Secret } from '../domain/secret.ts';
import { asGatewayError, type GatewayError } from '../errors.ts';
import { takeBearerToken } from './bearer.ts';
import { expired } from './claims.ts';
import type { Fetch } from './fetch-json.ts';
import { createJwtSvidVerifier, readSpiffeSubject } from './jwt-svid.ts';
import { createOidcVerifier } from './oidc.ts';
import { createOidcKeys } from './oidc-keys.ts';
import { checkIdentityOptions, HOUR_MS, type IdentityOptions, type IssuerOptions, readAlgorithms, readClaimRules } from './options.ts';
import { failedCheck, refusal } from './refusal.ts';
import { looksLikeSpiffeId } from './spiffe-id.ts';
import { cacheKey, createTokenCache } from './token-cache.ts';
import type { TokenVerifier } from './token-verifier.ts';
import { createTrustBundleFile } from './trust-bundle-file.ts';
import { parseJwsUnverified, readClaimsUnverified } from './unverified-jws.ts';

export interface IdentityParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How issuers are reached. Default the global fetch. */
  readonly fetch?: Fetch;
}

/** Throws TypeError for options that would make identities ambiguous. Nothing is fetched before `start`. */
export function createIdentity(options: IdentityOptions, parts: IdentityParts): Identity {
  checkIdentityOptions(options);
  const { clock, log, metrics } = parts;
  const verifiers = options.issuers.map((issuer) => createVerifier(issuer, options, parts));
  const byIssuer = new Map<string, TokenVerifier>();
  const byTrustDomain = new Map<string, TokenVerifier>();
  options.issuers.forEach((issuer, index) => {
    const verifier = verifiers[index];
    if (verifier === undefined) return;
    if (issuer.type === 'oidc') byIssuer.set(issuer.issuer, verifier);
    else byTrustDomain.set(issuer.trustDomain, verifier);
  });
  const cache = createTokenCache();

  function identify(request: InboundRequest): Identified | Promise<Identified> {
    let token: string;
    try {
      token = takeToken(request);
    } catch (thrown) {
      throw refused(thrown, undefined, request);
    }
    const key = cacheKey(token);
    const principal = cache.get(key, clock.now());
    return principal === undefined ? verify(token, key, request) : { principal, token: new Secret(token) };
  }

  function takeToken(request: InboundRequest): string {
    // Nothing here can verify an X.509-SVID yet, so it cannot be found to agree with the token either.
    if (request.peer.certificate !== undefined) throw refusal('unauthenticated', 'certificate', 'Client certificates are not accepted here yet.');
    return takeBearerToken(request.headers, options.tokenHeaderFor?.(request.mount));
  }

  async function verify(token: string, key: string, request: InboundRequest): Promise<Identified> {
    let verifier: TokenVerifier | undefined;
    try {
      const jws = parseJwsUnverified(token);
      const claims = deepFreeze(readClaimsUnverified(jws));
      verifier = chooseVerifier(claims);
      const { principal, keySet } = await verifier.verify(jws, claims);
      const now = clock.now();
      if (now >= principal.expiresAt) throw expired();
      cache.set(key, principal, verifier.keys, keySet, now);
      return { principal, token: new Secret(token) };
    } catch (thrown) {
      throw refused(thrown, verifier?.name, request);
    }
  }

  /** By what the token claims, unverified: a wrong claim only leads to keys that did not sign it. */
  function chooseVerifier(claims: JsonObject): TokenVerifier {
    const { sub, iss } = claims;
    const verifier =
      typeof sub === 'string' && looksLikeSpiffeId(sub)
        ? byTrustDomain.get(readSpiffeSubject(claims).trustDomain)
        : typeof iss === 'string'
          ? byIssuer.get(iss)
          : undefined;
    if (verifier === undefined) throw refusal('token_untrusted', 'issuer', 'The token’s issuer or trust domain is not one of those trusted here.');
    return verifier;
  }

  function refused(thrown: unknown, issuer: string | undefined, request: InboundRequest): GatewayError {
    const error = asGatewayError(thrown);
    metrics.tokenRefused(issuer, error.code);
    log.warn('identity.refused', { check: failedCheck(error), code: error.code, requestId: request.id, ...(issuer !== undefined && { issuer }) });
    return error;
  }

  return {
    identify,
    status: () => verifiers.map(readStatus),
    async start() {
      await Promise.all(verifiers.map((verifier) => verifier.keys.start()));
    },
    close() {
      for (const verifier of verifiers) verifier.keys.close();
      cache.clear();
    },
  };
}

function createVerifier(issuer: IssuerOptions, options: IdentityOptions, { clock, log, fetch = globalThis.fetch }: IdentityParts): TokenVerifier {
  const rules = readClaimRules(issuer, issuer.audience ?? options.audience, HOUR_MS);
  if (issuer.type === 'spiffe') {
    const bundle = createTrustBundleFile({ name: issuer.name, trustDomain: issuer.trustDomain, file: issuer.bundle.file }, clock, log);
    return createJwtSvidVerifier(issuer.name, bundle, rules, clock);
  }
  const algorithms = readAlgorithms(issuer.algorithms);
  const keys = createOidcKeys(issuer.name, issuer, options.refresh ?? {}, { clock, log, fetch });
  return createOidcVerifier(
    issuer.name,
    keys,
    { ...rules, issuer: issuer.issuer, algorithms, requireAccessTokenType: issuer.requireAccessTokenType ?? false },
    clock,
  );
}

function readStatus({ name, type, keys }: TokenVerifier): IssuerStatus {
  const status = keys.status();
  return { name, type, ready: status.keys > 0, ...status };
}
