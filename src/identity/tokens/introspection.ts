// Tokens about which their issuer is asked (RFC 7662): opaque ones, and JWTs where the entry says so. Trusts the
// configured endpoint for `active`. What the endpoint says about an opaque token must pass the same checks as a JWT's
// claims: audience, times, lifetime, binding. An answer is used for seconds only.

import type { Clock } from '../../domain/clock.ts';
import { deepFreeze, isJsonObject, type JsonObject, presentMembers } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import type { Principal } from '../../domain/principal.ts';
import type { SecretSource } from '../../domain/secret.ts';
import { refusal } from '../refusal.ts';
import { type ClaimRules, checkCommonClaims } from './claims.ts';
import { createIssuerQuery } from './issuer-query.ts';
import { type NamedIssuer, oidcPrincipal } from './oidc-principal.ts';

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
  /**
   * Whether a JWT that verified is still in force. Throws `token_inactive`, `token_untrusted`, `issuer_unavailable`.
   */
  confirm(token: string, principal: Principal): Promise<void>;
}

interface AskedIssuer extends NamedIssuer {
  readonly rules: ClaimRules;
}

export function createIntrospection(
  { endpoint, clientId, clientSecret }: IntrospectionOptions,
  asked: AskedIssuer,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Introspection {
  const { name, rules } = asked;
  const query = createIssuerQuery({ name, check: 'introspection', address: endpoint }, log);

  async function ask(token: string): Promise<JsonObject> {
    const answer = await query({
      headers: {
        authorization: basic(clientId, clientSecret.read().reveal()),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
    });
    if (!isJsonObject(answer) || answer.active !== true)
      throw refusal('token_inactive', 'introspection', 'The token’s issuer says that it is not active.');
    const claims = presentMembers(answer);
    if (claims.iss !== undefined && claims.iss !== asked.issuer)
      throw refusal('token_untrusted', 'iss', 'The token’s issuer is not the one that was asked.');
    return claims;
  }

  return {
    name,
    async verify(token) {
      const claims = deepFreeze(await ask(token));
      const expiresAt = checkCommonClaims(claims, rules, clock.now());
      return oidcPrincipal(claims, asked, expiresAt);
    },
    async confirm(token, { claims }) {
      const { sub } = await ask(token);
      // An answer about another subject is about another token.
      if (sub !== undefined && sub !== claims.sub)
        throw refusal('token_inactive', 'introspection', 'The token’s issuer speaks of another subject.');
    },
  };
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}
