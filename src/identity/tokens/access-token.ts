// An OIDC issuer's JWT access tokens: for agents (oidc.ts) and for reviewers (reviewer.ts), each with its own audience.
// Trusts the configured issuer's keys. Refuses ID tokens and other kinds of JWT by `typ`, and, where the RFC 9068
// profile is demanded, whatever does not follow it.

import type { EpochMs } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { SignatureAlgorithm } from '../keys/algorithms.ts';
import type { KeySet } from '../keys/key-set.ts';
import type { KeyLookup } from '../keys/key-source.ts';
import { refusal } from '../refusal.ts';
import { type ClaimRules, checkCommonClaims, requireText } from './claims.ts';
import { proveSignature } from './signature.ts';
import type { UnverifiedJws } from './unverified-jws.ts';

export interface AccessTokenRules extends ClaimRules {
  /** Compared exactly. */
  readonly issuer: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Demands `typ: at+jwt` and the claims of RFC 9068 section 2.2. */
  readonly requireAccessTokenType: boolean;
}

interface VerifiedToken {
  readonly expiresAt: EpochMs;
  /** The generation of keys that it was verified under. */
  readonly keySet: KeySet;
}

/**
 * Without the profile: what issuers put on access tokens. Everything else (logout+jwt, dpop+jwt, wit+jwt, …) is some
 * other kind of token.
 */
const ACCEPTED_TYPES = [undefined, 'jwt', 'at+jwt', 'application/at+jwt'];
const PROFILE_TYPES = ['at+jwt', 'application/at+jwt'];
const PROFILE_CLAIMS = ['sub', 'client_id', 'jti'];

/**
 * Verifies signature, issuer, type, audience, times and lifetime of a token. Does not check whose token it is (`sub`,
 * `act`), whether it is bound to a key (`cnf`), or whether its issuer has revoked it since. Throws the `token_*` family
 * and `issuer_unavailable`.
 *
 * @example
 * const jws = parseJwsUnverified(text);
 * const claims = readClaimsUnverified(jws);
 * const { expiresAt } = await verifyAccessToken(jws, claims, keys, rules, clock);
 */
export async function verifyAccessToken(
  jws: UnverifiedJws,
  claims: JsonObject,
  keys: KeyLookup,
  rules: AccessTokenRules,
  clock: { now(): EpochMs },
): Promise<VerifiedToken> {
  if (claims.iss !== rules.issuer)
    throw refusal('token_untrusted', 'iss', 'The token’s issuer is not one of those trusted here.');
  const keySet = await proveSignature(jws, keys, rules.algorithms);
  checkType(jws, claims, rules.requireAccessTokenType);
  return { expiresAt: checkCommonClaims(claims, rules, clock.now()), keySet };
}

function checkType(jws: UnverifiedJws, claims: JsonObject, demanded: boolean): void {
  const type = jws.header.typ?.toLowerCase();
  const accepted: readonly (string | undefined)[] = demanded ? PROFILE_TYPES : ACCEPTED_TYPES;
  if (!accepted.includes(type)) throw refusal('token_claims', 'typ', 'The token is not an access token (typ).');
  if (!demanded) return;
  for (const name of PROFILE_CLAIMS) requireText(claims, name);
  if (claims.iat === undefined)
    throw refusal('token_claims', 'iat', 'The token does not say when it was issued (iat).');
}
