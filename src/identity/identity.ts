// The Identity port: who makes this call. A token proves it, or the connection's certificate, or both, and then they
// must agree. Trusts only the configured issuers. Remembers for a minute which tokens it verified; the key that a token
// is bound to is proven at every call.

import type { Clock } from '../domain/clock.ts';
import type { Identified, Identity, IssuerStatus } from '../domain/identity.ts';
import { deepFreeze } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Principal } from '../domain/principal.ts';
import type { InboundRequest, Peer } from '../domain/request.ts';
import { Secret } from '../domain/secret.ts';
import { asGatewayError, type GatewayError } from '../errors.ts';
import type { FetchDocument } from './keys/issuer-http.ts';
import { REFRESH_TIMES } from './keys/polled.ts';
import { createProofMemory, type ProofMemory } from './possession/dpop.ts';
import { createPossession } from './possession/possession.ts';
import { failedCheck, refusal } from './refusal.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import { createTaskTokens, type TaskIssuerSettings } from './task-tokens.ts';
import { type PresentedToken, takeToken } from './tokens/bearer.ts';
import { expired } from './tokens/claims.ts';
import { ANSWER_TTL_MS } from './tokens/issuer-query.ts';
import { cacheKey, createTokenCache } from './tokens/token-cache.ts';
import type { TokenVerifier } from './tokens/token-verifier.ts';
import { looksLikeJws, parseJwsUnverified, readClaimsUnverified } from './tokens/unverified-jws.ts';
import { createTrustedIssuers, type TrustedIssuersOptions } from './trusted-issuers.ts';
import { createSvidVerifier } from './x509/x509-svids.ts';

/** The refusals of a certificate that is not an SVID at all. */
const NO_SVID: ReadonlySet<string> = new Set(['certificate_malformed', 'certificate_profile']);

export interface IdentityOptions extends TrustedIssuersOptions {
  /** The field (lower case) that carries the agent's token for calls to this mount, instead of Authorization. */
  readonly tokenHeaderFor?: (mount: string) => string | undefined;
  /**
   * Where agents reach the gateway, without a path: DPoP proofs must name it. Without it, tokens bound to DPoP keys are
   * refused.
   */
  readonly gatewayUrl?: string;
  readonly dpop?: { readonly nonce: boolean };
  /** Who vouches for tasks. */
  readonly taskIssuers?: readonly TaskIssuerSettings[];
}

export interface IdentityParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How issuers are reached. Default the global fetch. */
  readonly fetch?: FetchDocument;
  /** Shared by the identities of one process. Default one of its own. */
  readonly proofs?: ProofMemory;
  /** Told of each caller whose token or certificate was verified, and not of those that are remembered. */
  verified?(principal: Principal): void;
}

/**
 * Throws TypeError for options that would make identities ambiguous. Nothing is fetched before `start`.
 *
 * What `identify` does not check: whether the caller may do what it asks (policy does), whether it is suspended (the
 * pipeline does), and, without introspection or a token review, whether its issuer has revoked the token since.
 *
 * @example
 * const identity = createIdentity({ audience: ['https://gateway.example.org'], issuers }, { clock, log, metrics });
 * await identity.start();
 * const { principal } = await identity.identify(request);
 */
export function createIdentity(options: IdentityOptions, parts: IdentityParts): Identity {
  const { clock, log, metrics, fetch = globalThis.fetch, proofs = createProofMemory(clock), verified } = parts;
  const issuers = createTrustedIssuers(options, { clock, log, fetch });
  const taskTokens = createTaskTokens(options.taskIssuers ?? [], {
    ...{ clock, log, fetch, audience: options.audience },
    refresh: { ...REFRESH_TIMES, ...options.refresh },
    agentsIssuer: soleIssuer(options.issuers),
  });
  const svids = createSvidVerifier(issuers.domain, clock);
  const possession = createPossession(options, proofs, clock);
  const cache = createTokenCache();

  function identify(request: InboundRequest): Identified | Promise<Identified> {
    let presented: PresentedToken | undefined;
    try {
      presented = takeToken(request.headers, options.tokenHeaderFor?.(request.mount));
      if (presented === undefined && request.peer.certificates === undefined)
        throw refusal('unauthenticated', 'credential', 'The call carries no credential.');
    } catch (thrown) {
      throw refused(thrown, undefined, request);
    }
    return presented === undefined ? byCertificate(request) : byToken(presented, request);
  }

  function byCertificate(request: InboundRequest): Identified | Promise<Identified> {
    const principal = svids.known(request.peer);
    return principal === undefined ? verifyCertificate(request) : { principal };
  }

  async function verifyCertificate(request: InboundRequest): Promise<Identified> {
    try {
      const principal = await svids.verify(request.peer);
      verified?.(principal);
      return { principal };
    } catch (thrown) {
      throw refused(thrown, undefined, request);
    }
  }

  function byToken(presented: PresentedToken, request: InboundRequest): Identified | Promise<Identified> {
    const key = cacheKey(presented.token);
    const principal = cache.get(key, clock.now());
    if (
      principal !== undefined &&
      request.peer.certificates === undefined &&
      !possession.isDemanded(principal, presented)
    ) {
      return { principal, token: new Secret(presented.token) };
    }
    return establish(presented, key, principal, request);
  }

  async function establish(
    presented: PresentedToken,
    key: string,
    cached: Principal | undefined,
    request: InboundRequest,
  ): Promise<Identified> {
    let issuer = cached?.issuerName;
    try {
      const known = cached ?? (await verifyToken(presented.token, key, (verifier) => (issuer = verifier.name)));
      const principal = await withCertificate(await possession.prove(known, presented, request), request);
      if (clock.now() >= principal.expiresAt) throw expired();
      if (cached === undefined) verified?.(principal);
      return { principal, token: new Secret(presented.token) };
    } catch (thrown) {
      throw refused(thrown, issuer, request);
    }
  }

  async function verifyToken(
    token: string,
    key: string,
    chosen: (verifier: { readonly name: string }) => void,
  ): Promise<Principal> {
    const { introspection } = issuers;
    if (introspection === undefined || looksLikeJws(token)) return verifyJws(token, key, chosen);
    chosen(introspection);
    const principal = await introspection.verify(token);
    cache.set(key, principal, { ttlMs: ANSWER_TTL_MS, isCurrent: () => true }, clock.now());
    return principal;
  }

  async function verifyJws(
    token: string,
    key: string,
    chosen: (verifier: { readonly name: string }) => void,
  ): Promise<Principal> {
    const jws = parseJwsUnverified(token);
    const claims = deepFreeze(readClaimsUnverified(jws));
    const verifier = issuers.forClaims(claims);
    chosen(verifier);
    const { principal, keySet, ttlMs } = await verifier.verify(jws, claims);
    const isCurrent = (): boolean => verifier.keys.current() === keySet;
    cache.set(key, principal, { isCurrent, ...(ttlMs !== undefined && { ttlMs }) }, clock.now());
    return principal;
  }

  /**
   * A token that comes with a certificate is bound to it, which has been proven, or names the same workload. When a
   * token of another issuer is bound to an SVID, both are identities of the caller, so the principal has both.
   */
  async function withCertificate(principal: Principal, { peer }: InboundRequest): Promise<Principal> {
    if (peer.certificates === undefined) return principal;
    const bound = possession.isBoundToCertificate(principal);
    const svid = bound ? await svidIfAny(peer) : (svids.known(peer) ?? (await svids.verify(peer)));
    if (svid === undefined) return principal;
    const expiresAt = Math.min(principal.expiresAt, svid.expiresAt);
    if (svid.id === principal.id) return { ...principal, expiresAt };
    if (!bound || principal.kind === 'spiffe')
      throw refusal('identity_conflict', 'certificate', 'The token and the client certificate name different callers.');
    const spiffeKey = svid.agentKey === svid.id ? {} : { spiffeKey: svid.agentKey };
    return { ...principal, spiffeId: svid.id, ...spiffeKey, expiresAt };
  }

  /**
   * The certificate that a token is bound to need not be an SVID (RFC 8705). If it claims to be an SVID of a trust
   * domain that is trusted here, it must be valid.
   */
  async function svidIfAny(peer: Peer): Promise<Principal | undefined> {
    try {
      return svids.known(peer) ?? (await svids.verify(peer));
    } catch (thrown) {
      const error = asGatewayError(thrown);
      if (NO_SVID.has(error.code) || failedCheck(error) === 'trust_domain') return undefined;
      throw error;
    }
  }

  function refused(thrown: unknown, issuer: string | undefined, request: InboundRequest): GatewayError {
    const error = asGatewayError(thrown);
    metrics.tokenRefused(issuer, error.code);
    log.warn('identity.refused', {
      check: failedCheck(error),
      code: error.code,
      requestId: request.id,
      ...(issuer !== undefined && { issuer }),
    });
    return error;
  }

  return {
    identify,
    agentKeyOf(id) {
      const svid = parseSpiffeId(id);
      return svid && issuers.domain(svid.trustDomain)?.agentKeyOf(svid);
    },
    taskToken: taskTokens.take,
    status: () => [
      ...issuers.verifiers.map(readStatus),
      ...taskTokens.sources.map((source) => readStatus({ ...source, type: 'oidc' })),
    ],
    async start() {
      await Promise.all([issuers.start(), ...taskTokens.sources.map(({ keys }) => keys.start())]);
    },
    close() {
      issuers.close();
      for (const { keys } of taskTokens.sources) keys.close();
      cache.clear();
    },
  };
}

/** The issuer of agents' names, where there is one alone. */
function soleIssuer(issuers: IdentityOptions['issuers']): string | undefined {
  const [only, ...others] = issuers.flatMap((entry) => (entry.type === 'oidc' ? [entry.issuer] : []));
  return others.length === 0 ? only : undefined;
}

function readStatus({ name, type, keys }: Pick<TokenVerifier, 'name' | 'type' | 'keys'>): IssuerStatus {
  const status = keys.status();
  return { name, type, ready: status.keys + (status.authorities ?? 0) > 0, ...status };
}
