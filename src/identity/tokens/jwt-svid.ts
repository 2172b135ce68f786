// Agents that come with a JWT-SVID (SPIFFE standards, JWT-SVID): token in, Principal out. Trusts one trust domain's own
// bundle, for subjects of that trust domain only. Refuses other headers, algorithms and types than the standard's.

import type { Clock } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import { JWT_SVID_ALGORITHMS } from '../keys/algorithms.ts';
import { refusal } from '../refusal.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import type { TrustedDomain } from '../x509/x509-svids.ts';
import { type ClaimRules, checkCommonClaims } from './claims.ts';
import { proveSignature } from './signature.ts';
import type { TokenVerifier } from './token-verifier.ts';
import type { UnverifiedJws } from './unverified-jws.ts';

const ACCEPTED_HEADERS = ['alg', 'kid', 'typ'];
const ACCEPTED_TYPES = [undefined, 'JWT', 'JOSE'];

export function createJwtSvidVerifier(
  { name, bundle, agentKeyOf }: TrustedDomain,
  rules: ClaimRules,
  clock: Clock,
): TokenVerifier {
  return {
    name,
    type: 'spiffe',
    keys: bundle,
    async verify(jws, claims) {
      const subject = readSpiffeSubject(claims);
      const { id, trustDomain } = subject;
      if (trustDomain !== bundle.trustDomain)
        throw refusal('token_untrusted', 'trust_domain', 'The token’s trust domain is not trusted here.');
      checkHeader(jws);
      const keySet = await proveSignature(jws, bundle, JWT_SVID_ALGORITHMS);
      const expiresAt = checkCommonClaims(claims, rules, clock.now());
      // A JWT-SVID speaks for its own subject. Passing over an `act` would hide on whose behalf the call is made.
      if (claims.act !== undefined) throw refusal('token_claims', 'act', 'A JWT-SVID does not carry an act claim.');
      const principal: Principal = {
        id,
        issuer: `spiffe://${trustDomain}`,
        subject: id,
        kind: 'spiffe',
        agentKey: agentKeyOf(subject),
        issuerName: name,
        trustDomain,
        proof: 'jwt-svid',
        claims,
        onBehalfOf: [],
        expiresAt,
      };
      return { principal, keySet };
    },
  };
}

/** The SPIFFE ID in `sub` (JWT-SVID section 3.1). Throws `token_claims`. */
export function readSpiffeSubject(claims: JsonObject): SpiffeId {
  const id = typeof claims.sub === 'string' ? parseSpiffeId(claims.sub) : undefined;
  if (id === undefined)
    throw refusal('token_claims', 'spiffe_id', 'The token’s subject is not a well-formed SPIFFE ID of a workload.');
  return id;
}

/** JWT-SVID section 2: these header members and no others. */
function checkHeader(jws: UnverifiedJws): void {
  if (jws.header.members.some((member) => !ACCEPTED_HEADERS.includes(member))) {
    throw refusal('token_malformed', 'header', 'A JWT-SVID has no header members besides alg, kid and typ.');
  }
  if (!ACCEPTED_TYPES.includes(jws.header.typ))
    throw refusal('token_claims', 'typ', 'The type of a JWT-SVID is JWT, JOSE or absent (typ).');
}
