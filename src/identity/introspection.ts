// Opaque tokens: their issuer is asked about each (RFC 7662). Trusts the configured endpoint for `active` and the claims, and holds those to the
// same rules as a JWT's: audience, times, lifetime, binding. An answer is used for seconds only.

import type { Clock } from '../domain/clock.ts';
import { deepFreeze, isJsonObject, presentMembers } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Principal } from '../domain/principal.ts';
import type { SecretSource } from '../domain/secret.ts';
import { readDelegation } from './actors.ts';
import { type ClaimRules, checkCommonClaims } from './claims.ts';
import { createInquiry } from './inquiry.ts';
import { refusal } from './refusal.ts';

export interface IntrospectionOptions {
  /** https, or http on loopback. */
  readonly endpoint: string;
  /** How the gateway proves itself there, by HTTP Basic (RFC 7662 section 2.1). */
  readonly clientId: string;
  readonly clientSecret: SecretSource;
}

export interface Introspection {
  readonly name: string;
  /** Throws the `token_*` family and `issuer_unavailable`. */
  verify(token: string): Promise<Principal>;
}

interface Issuer {
  readonly name: string;
  readonly issuer: string;
  readonly rules: ClaimRules;
}

export function createIntrospection(
  { endpoint, clientId, clientSecret }: IntrospectionOptions,
  { name, issuer, rules }: Issuer,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Introspection {
  const inquire = createInquiry({ name, check: 'introspection', address: endpoint }, log);
  return {
    name,
    async verify(token) {
      const answer = await inquire({
        headers: { authorization: basic(clientId, clientSecret.read().reveal()), 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      });
      if (!isJsonObject(answer) || answer.active !== true) throw refusal('token_inactive', 'introspection', 'The token’s issuer says that it is not active.');
      const claims = deepFreeze(presentMembers(answer));
      if (claims.iss !== undefined && claims.iss !== issuer) throw refusal('token_untrusted', 'iss', 'The token’s issuer is not the one that was asked.');
      const expiresAt = checkCommonClaims(claims, rules, clock.now());
      const { caller, onBehalfOf } = readDelegation(claims, issuer);
      return { ...caller, kind: 'oidc', issuerName: name, proof: 'jwt', claims, onBehalfOf, expiresAt };
    },
  };
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}
