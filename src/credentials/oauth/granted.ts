// What the record says of a grant: what was asked for, and what was given. Issuers ignore what they do not know
// (`audience`, `resource`, `actor_token`), so the record calls a thing given only if the answer or the token says so. A
// token that is not a JWT says nothing.

import { decodeJwt, type JWTPayload } from 'jose';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { OAuthRequest } from './scope.ts';

export interface TokenFacts {
  /** The token's own `scope` or `scp`; undefined where it says none. */
  readonly scope?: readonly string[];
  /** `aud`. */
  readonly audience?: readonly string[];
  /** `act.sub` (RFC 8693 section 4.1). */
  readonly actor?: string;
}

/** What a token says of itself. It comes from its issuer over TLS; nobody is identified by it. */
export function factsOf(token: string): TokenFacts {
  let claims: JWTPayload;
  try {
    claims = decodeJwt(token);
  } catch {
    return {};
  }
  const scope = listOf(claims.scope ?? claims.scp);
  const audience = listOf(typeof claims.aud === 'string' ? [claims.aud] : claims.aud);
  const act = claims.act as Json | undefined;
  const actor = isJsonObject(act) ? act.sub : undefined;
  return { ...(scope && { scope }), ...(audience && { audience }), ...(typeof actor === 'string' && { actor }) };
}

function listOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return value.split(' ').filter((part) => part !== '');
  return Array.isArray(value) ? value.filter((part) => typeof part === 'string') : undefined;
}

/** `actorToken` is what was presented as the actor, where one was. */
export function grantRecord(
  asked: OAuthRequest,
  granted: readonly string[],
  token: TokenFacts,
  actorToken: string | undefined,
): JsonObject {
  const { scope, audience, resource } = asked;
  const actor = actorToken === undefined ? undefined : (subjectOf(actorToken) ?? true);
  const unconfirmed = [
    ...(isSaid(audience, token.audience) ? [] : ['audience']),
    ...(isSaid(resource, token.audience) ? [] : ['resource']),
    ...(actor === undefined || (token.actor !== undefined && (actor === true || actor === token.actor))
      ? []
      : ['actor']),
  ];
  const wanted = {
    ...(scope && { scope: scope.join(' ') }),
    ...(audience && { audience: [...audience] }),
    ...(resource && { resource: [...resource] }),
    ...(actor !== undefined && { actor }),
  };
  return {
    ...(granted.length > 0 && { scope: granted.join(' ') }),
    ...(token.audience && { audience: [...token.audience] }),
    ...(token.actor !== undefined && { actor: token.actor }),
    ...(Object.keys(wanted).length > 0 && { asked: wanted }),
    ...(unconfirmed.length > 0 && { unconfirmed }),
  };
}

function isSaid(wanted: readonly string[] | undefined, said: readonly string[] | undefined): boolean {
  return wanted === undefined || (said !== undefined && wanted.every((one) => said.includes(one)));
}

function subjectOf(token: string): string | undefined {
  try {
    return decodeJwt(token).sub;
  } catch {
    return undefined;
  }
}
