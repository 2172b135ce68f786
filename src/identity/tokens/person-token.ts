// Tells a person's access token from everything else that one issuer signs for one audience: ID tokens, tokens that a
// client got for itself, tokens of clients through which people do not sign in. Trusts the token, whose signature,
// audience and times were proven before. Separation of duties starts here: what calls tools must not vote, under
// whatever name its token was issued.

import type { Json, JsonObject } from '../../domain/json.ts';
import type { GatewayError } from '../../errors.ts';
import { refusal } from '../refusal.ts';
import { clientsOf } from './claims.ts';
import { clientMark } from './client-token.ts';

export interface PersonRules {
  /** A token that is addressed to one of these, too, is an agent's. */
  readonly agentAudiences: readonly string[];
  /** The clients through which people sign in; undefined: any. */
  readonly clients?: readonly string[] | undefined;
}

/**
 * Claims of ID tokens (OpenID Connect Core sections 2 and 3.3.2.11) and of security events (RFC 8417), which access
 * tokens do not have.
 */
const FOREIGN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'];
/**
 * What issuers that write the kind of a token into its claims call an access token: Keycloak's `typ`, Cognito's
 * `token_use`.
 */
const ACCESS_WORDS = ['bearer', 'dpop', 'access', 'at+jwt', 'jwt'];

/** Throws `token_audience`, `token_claims`. */
export function refuseNonPerson(claims: JsonObject, { agentAudiences, clients }: PersonRules): void {
  refuseOtherKinds(claims);
  const audiences: readonly Json[] = Array.isArray(claims.aud) ? claims.aud : [claims.aud ?? null];
  if (audiences.some((audience) => typeof audience === 'string' && agentAudiences.includes(audience))) {
    throw refusal('token_audience', 'agent_audience', 'The token is addressed to the agents’ side, too.');
  }
  refuseWorkload(claims);
  const named = clientsOf(claims);
  if (clients !== undefined && (named.length === 0 || !named.every((client) => clients.includes(client)))) {
    throw refusal(
      'token_claims',
      'client',
      'The token was got by a client that is not one of reviewers.api.clients (azp, client_id).',
    );
  }
}

function refuseOtherKinds(claims: JsonObject): void {
  const foreign = FOREIGN_CLAIMS.find((name) => claims[name] !== undefined && claims[name] !== null);
  if (foreign !== undefined)
    throw refusal('token_claims', foreign, 'The token is an ID token or an event, not an access token.');
  for (const name of ['typ', 'token_use']) {
    const kind = claims[name];
    if (typeof kind === 'string' && !ACCESS_WORDS.includes(kind.toLowerCase())) {
      throw refusal('token_claims', name, 'The token’s own claims say that it is not an access token.');
    }
  }
}

function refuseWorkload(claims: JsonObject): void {
  const { act } = claims;
  const mark = clientMark(claims);
  if (mark !== undefined) throw workload(mark);
  if (act !== undefined && act !== null) throw workload('act');
  const { auth_time: signedInAt, sid } = claims;
  if (typeof signedInAt !== 'number' && (typeof sid !== 'string' || sid === '')) {
    throw refusal(
      'token_claims',
      'sign_in',
      'The token does not say that a person signed in for it (auth_time or sid).',
    );
  }
}

function workload(check: string): GatewayError {
  return refusal('token_claims', check, 'The token speaks for a workload, not for a person who signed in.');
}
