// Tokens that count only together with a key (RFC 7800 `cnf`): bound to the certificate of the connection (RFC 8705),
// or to the key of a DPoP proof (RFC 9449). The key is proven at every call, also for a cached token. Refuses a bound
// token without its proof (a downgrade to a bearer token), a token that is bound in unknown ways only, and unbound
// tokens where binding is demanded.

import { hash } from 'node:crypto';
import type { Clock } from '../../domain/clock.ts';
import { isJsonObject, type JsonObject, presentMembers } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { InboundRequest, Peer } from '../../domain/request.ts';
import { refusal } from '../refusal.ts';
import type { PresentedToken } from '../tokens/bearer.ts';
import { createDpopVerifier, type ProofMemory } from './dpop.ts';

const METHODS = ['jkt', 'x5t#S256'] as const;

interface TokenBinding {
  readonly method: (typeof METHODS)[number];
  readonly thumbprint: string;
}

export interface PossessionOptions {
  readonly issuers: readonly { readonly name: string; readonly requireProof: boolean }[];
  readonly gatewayUrl?: string;
  readonly dpop?: { readonly nonce: boolean };
}

export interface Possession {
  /** Whether `prove` has anything to look at for this token. */
  isDemanded(principal: Principal, presented: PresentedToken): boolean;
  isBoundToCertificate(principal: Principal): boolean;
  /**
   * The principal with the thumbprint of the proven key. Throws `proof_required`, `proof_invalid`,
   * `proof_nonce_required`, `token_claims`, `store_unavailable`.
   */
  prove(principal: Principal, presented: PresentedToken, request: InboundRequest): Promise<Principal>;
}

const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

export function createPossession(
  { issuers, gatewayUrl, dpop }: PossessionOptions,
  memory: ProofMemory,
  clock: Clock,
): Possession {
  const demanding = new Set(issuers.filter(({ requireProof }) => requireProof).map(({ name }) => name));
  const proofs =
    gatewayUrl === undefined
      ? undefined
      : createDpopVerifier({ url: gatewayUrl, nonce: dpop?.nonce ?? false }, memory, clock);
  const thumbprints = new WeakMap<Peer, string>();

  function thumbprintOf(peer: Peer): string | undefined {
    const [leaf] = peer.certificates ?? [];
    if (leaf === undefined) return undefined;
    const thumbprint = thumbprints.get(peer) ?? hash('sha256', leaf, 'base64url');
    thumbprints.set(peer, thumbprint);
    return thumbprint;
  }

  function checkUnbound({ issuerName, kind }: Principal, { scheme }: PresentedToken, peer: Peer): void {
    if (scheme === 'dpop')
      throw refusal('proof_invalid', 'unbound', 'The token is not bound to a key, so no proof can belong to it.');
    // An X.509-SVID of the same workload proves its key as well; that the two agree is checked after this.
    if (demanding.has(issuerName) && !(kind === 'spiffe' && peer.certificates !== undefined)) {
      throw refusal(
        'proof_required',
        'binding',
        'The token’s issuer entry takes only tokens that are bound to a key (cnf).',
      );
    }
  }

  function checkCertificate(thumbprint: string, peer: Peer): void {
    const shown = thumbprintOf(peer);
    if (shown === undefined)
      throw refusal(
        'proof_required',
        'certificate',
        'The token is bound to a certificate, and the connection has none.',
      );
    if (shown !== thumbprint)
      throw refusal('proof_invalid', 'x5t#S256', 'The token is bound to another certificate than the connection’s.');
  }

  async function checkProof(
    thumbprint: string,
    { token, scheme }: PresentedToken,
    request: InboundRequest,
  ): Promise<void> {
    if (proofs === undefined) {
      throw refusal(
        'proof_required',
        'dpop_unavailable',
        'The token needs a DPoP proof, and none is taken here: listeners.agents.url is not configured.',
      );
    }
    if (scheme === 'bearer')
      throw refusal(
        'proof_required',
        'scheme',
        'The token is bound to a key: send it as Authorization: DPoP, with a proof.',
      );
    await proofs.verify(request, token, thumbprint);
  }

  return {
    isDemanded: ({ claims, issuerName }, { scheme }) =>
      claims.cnf !== undefined || scheme === 'dpop' || demanding.has(issuerName),
    isBoundToCertificate: ({ claims }) => readBinding(claims)?.method === 'x5t#S256',
    async prove(principal, presented, request) {
      const binding = readBinding(principal.claims);
      if (binding === undefined) {
        checkUnbound(principal, presented, request.peer);
        return principal;
      }
      const { method, thumbprint } = binding;
      if (method === 'jkt') await checkProof(thumbprint, presented, request);
      else checkCertificate(thumbprint, request.peer);
      return { ...principal, keyThumbprint: thumbprint };
    },
  };
}

/**
 * Exactly one of the two methods. Further members describe the key, and what is not understood is passed over (RFC 7800
 * section 3.1). Throws `token_claims`.
 */
function readBinding({ cnf }: JsonObject): TokenBinding | undefined {
  if (cnf === undefined) return undefined;
  const members = isJsonObject(cnf) ? presentMembers(cnf) : {};
  const [method, ...others] = METHODS.filter((name) => members[name] !== undefined);
  const thumbprint = method && members[method];
  if (method === undefined || others.length > 0 || typeof thumbprint !== 'string' || !THUMBPRINT.test(thumbprint)) {
    throw refusal('token_claims', 'cnf', 'The token is bound to a key in a way that is not known here (cnf).');
  }
  return { method, thumbprint };
}
