// Delegation as RFC 8693 section 4.1 writes it: the outermost `act` is who calls now, `sub` is on whose behalf, nested
// `act`s are earlier actors. Trusts the token's issuer to have checked the chain. Refuses chains that are malformed,
// too deep, or name a caller of another issuer.

import { isJsonObject, type Json, type JsonObject, presentMembers } from '../../domain/json.ts';
import { isName } from '../../domain/name.ts';
import type { Party } from '../../domain/principal.ts';
import { refusal } from '../refusal.ts';
import { requireSubject } from './claims.ts';

/** How many `act` claims may be nested. */
const MAX_ACTORS = 8;

interface Delegation {
  readonly caller: Party;
  /** Nearest first: the token's subject, then earlier actors. */
  readonly onBehalfOf: readonly Party[];
}

/** Who calls, and for whom. Throws `token_claims`. */
export function readDelegation(claims: JsonObject, issuer: string): Delegation {
  const subject = party(issuer, requireSubject(claims));
  const [actor, ...earlier] = readActors(claims.act, issuer);
  if (actor === undefined) return { caller: subject, onBehalfOf: [] };
  if (actor.issuer !== issuer)
    throw refusal('token_claims', 'act', 'The token’s actor belongs to another issuer (act.iss).');
  return { caller: actor, onBehalfOf: [subject, ...earlier] };
}

/** `<issuer>#<subject>`: an issuer identifier has no fragment, so the first `#` always divides the two. */
export function party(issuer: string, subject: string): Party {
  return { id: `${issuer}#${subject}`, issuer, subject };
}

function readActors(outermost: Json | undefined, issuer: string): Party[] {
  const actors: Party[] = [];
  for (let next = outermost; next !== undefined; ) {
    if (!isJsonObject(next)) throw refusal('token_claims', 'act', 'The token’s act claim is not an object.');
    if (actors.length === MAX_ACTORS)
      throw refusal('token_claims', 'act', `The token names more than ${MAX_ACTORS} actors.`);
    const act = presentMembers(next);
    const { iss = issuer } = act;
    if (typeof iss !== 'string' || !isName(iss) || iss.includes('#'))
      throw refusal('token_claims', 'act', 'The issuer of an actor is not an issuer identifier.');
    actors.push(party(iss, requireSubject(act)));
    next = act.act;
  }
  return actors;
}
