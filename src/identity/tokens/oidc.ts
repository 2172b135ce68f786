// Agents that come with a JWT access token of an OIDC issuer: token in, Principal out.
// The name of a principal is (issuer, subject), never an e-mail address or another claim that can be reassigned.

import type { Clock } from '../../domain/clock.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { KeySource } from '../keys/key-source.ts';
import type { OidcIssuerOptions } from '../options.ts';
import { refusal } from '../refusal.ts';
import { type AccessTokenRules, verifyAccessToken } from './access-token.ts';
import { readDelegation } from './actors.ts';
import { displayOf } from './claims.ts';
import { ANSWER_TTL_MS } from './issuer-query.ts';
import type { TokenReview } from './token-review.ts';
import type { TokenVerifier } from './token-verifier.ts';

/** `reviews`: each asks the issuer whether a token that verifies is still in force. */
export function createOidcVerifier(
  { name, displayClaim }: Pick<OidcIssuerOptions, 'name' | 'displayClaim'>,
  keys: KeySource,
  rules: AccessTokenRules,
  clock: Clock,
  reviews: readonly TokenReview[] = [],
): TokenVerifier {
  return {
    name,
    type: 'oidc',
    keys,
    async verify(jws, claims) {
      const { expiresAt, keySet } = await verifyAccessToken(jws, claims, keys, rules, clock);
      checkKubernetesSubject(claims);
      const { caller, onBehalfOf } = readDelegation(claims, rules.issuer);
      const display = displayOf(claims, caller.subject, displayClaim);
      const principal: Principal = {
        ...caller,
        ...display,
        kind: 'oidc',
        issuerName: name,
        proof: 'jwt',
        claims,
        onBehalfOf,
        expiresAt,
      };
      if (reviews.length === 0) return { principal, keySet };
      for (const review of reviews) await review(jws.raw, principal);
      return { principal, keySet, ttlMs: ANSWER_TTL_MS };
    },
  };
}

/** A Kubernetes service account token says twice whose it is; the two must agree. */
function checkKubernetesSubject(claims: JsonObject): void {
  const cluster = claims['kubernetes.io'];
  if (cluster === undefined) return;
  const account = isJsonObject(cluster) ? cluster.serviceaccount : undefined;
  const named =
    isJsonObject(cluster) && isJsonObject(account)
      ? `system:serviceaccount:${cluster.namespace}:${account.name}`
      : undefined;
  if (named === undefined || named !== claims.sub)
    throw refusal('token_claims', 'kubernetes.io', 'The token’s subject is not the service account that it names.');
}
