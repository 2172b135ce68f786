// Tells a token that a client got for itself from one that speaks of a person, by the words that issuers have for it.
// Trusts the token's issuer.

import type { JsonObject } from '../../domain/json.ts';
import { looksLikeSpiffeId } from '../spiffe-id.ts';
import { clientsOf } from './claims.ts';

/** Undefined for a token that may speak of a person; otherwise which claim says that it does not. */
export function clientMark(claims: JsonObject): 'workload_subject' | 'client_subject' | 'client_grant' | undefined {
  const { sub, gty, idtyp, preferred_username: username } = claims;
  if (typeof sub === 'string' && (looksLikeSpiffeId(sub) || sub.startsWith('system:serviceaccount:')))
    return 'workload_subject';
  // RFC 9068 section 2.2: where no person takes part, `sub` names the client itself. Issuers have other words for it as
  // well.
  if (typeof sub === 'string' && (clientsOf(claims).includes(sub) || sub.endsWith('@clients'))) return 'client_subject';
  const isOfClient =
    gty === 'client-credentials' ||
    idtyp === 'app' ||
    (typeof username === 'string' && username.startsWith('service-account-'));
  return isOfClient ? 'client_grant' : undefined;
}

export const speaksForClient = (claims: JsonObject): boolean => clientMark(claims) !== undefined;
