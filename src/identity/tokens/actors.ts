// Delegation as RFC 8693 section 4.1 writes it: the outermost `act` is who calls now, `sub` is on whose behalf, nested
// `act`s are earlier actors. Trusts the token's issuer to have checked the chain. Refuses chains that are malformed,
// too deep, or name a caller of another issuer.

import { isJsonObject, type Json, type JsonObject, presentMembers } from '../../domain/json.ts';
import { isName } from '../../domain/name.ts';
import { personAt, personUnknown } from '../../domain/person-claim.ts';
import type { Party, Principal } from '../../domain/principal.ts';
import { keyOfClaim, requireKeyOfClaim } from '../agent-key.ts';
import { refusal } from '../refusal.ts';
import { requireClient, requireSubject } from './claims.ts';
import { speaksForClient } from './client-token.ts';

/** How many `act` claims may be nested. */
const MAX_ACTORS = 8;

/** What the entry under `identity.issuers` says about the names in a token. */
export interface DelegationRules {
  readonly issuer: string;
  /** Whom `sub` names where no `act` names the caller. */
  readonly subject: 'agent' | 'person';
  readonly personClaim?: string | undefined;
  /** Which claim tells the issuer's agents apart; undefined: the subject. */
  readonly agentKey?: { readonly claim: string } | undefined;
}

interface Delegation {
  readonly caller: Party & Pick<Principal, 'agentKey'>;
  /** The object that names the caller: the token, or its outermost `act`. */
  readonly named: JsonObject;
  /** Nearest first: the token's subject, then earlier actors. */
  readonly onBehalfOf: readonly Party[];
}

/** Who calls, and for whom. Throws `token_claims`, `person_unknown`. */
export function readDelegation(claims: JsonObject, rules: DelegationRules): Delegation {
  const { issuer } = rules;
  const subject = named(claims, issuer, rules);
  const [actor, ...earlier] = readActors(claims.act, rules);
  const isForItself = speaksForClient(claims);
  if (actor !== undefined) {
    if (actor.party.issuer !== issuer)
      throw refusal('token_claims', 'act', 'The token’s actor belongs to another issuer (act.iss).');
    // An agent that another agent acts for is no person, so no claim has to say which person it is.
    const actedFor = isForItself ? subject : requirePerson(subject, rules);
    const { party: caller, act } = actor;
    return {
      caller: withKey(caller, { named: act, token: claims }, rules),
      named: act,
      onBehalfOf: [actedFor, ...earlier.map((one) => one.party)],
    };
  }
  const from = { named: claims, token: claims };
  if (rules.subject === 'agent') return { caller: withKey(subject, from, rules), named: claims, onBehalfOf: [] };
  // RFC 9068 section 2.2: of a token that a client got for itself, the subject is the client's own account.
  const client = party(issuer, requireClient(claims));
  if (subject.subject === client.subject)
    return { caller: withKey(client, from, rules), named: claims, onBehalfOf: [] };
  // Under another name the account stays in the chain: people can choose names that look like those of accounts.
  const onBehalfOf = [isForItself ? subject : requirePerson(subject, rules)];
  return { caller: withKey(client, from, rules), named: claims, onBehalfOf };
}

function withKey(
  caller: Party,
  from: { readonly named: JsonObject; readonly token: JsonObject },
  { issuer, agentKey }: DelegationRules,
): Delegation['caller'] {
  return { ...caller, agentKey: agentKey === undefined ? caller.id : requireKeyOfClaim(issuer, agentKey, from) };
}

/** `<issuer>#<subject>`: an issuer identifier has no fragment, so the first `#` always divides the two. */
export function party(issuer: string, subject: string): Party {
  return { id: `${issuer}#${subject}`, issuer, subject };
}

/** The party that an object with `sub` names, with the person claim that stands in the same object. */
function named(from: JsonObject, issuer: string, { personClaim }: DelegationRules): Party {
  const found = party(issuer, requireSubject(from));
  const person = personClaim === undefined ? undefined : personAt(from, personClaim);
  return person === undefined ? found : { ...found, person };
}

function requirePerson(subject: Party, { personClaim }: DelegationRules): Party {
  if (personClaim !== undefined && subject.person === undefined)
    throw personUnknown('The token acts for a person and', personClaim);
  return subject;
}

interface Actor {
  readonly party: Party;
  readonly act: JsonObject;
}

function readActors(outermost: Json | undefined, rules: DelegationRules): Actor[] {
  const actors: Actor[] = [];
  for (let next = outermost; next !== undefined; ) {
    if (!isJsonObject(next)) throw refusal('token_claims', 'act', 'The token’s act claim is not an object.');
    if (actors.length === MAX_ACTORS)
      throw refusal('token_claims', 'act', `The token names more than ${MAX_ACTORS} actors.`);
    const act = presentMembers(next);
    const { iss = rules.issuer } = act;
    if (typeof iss !== 'string' || !isName(iss) || iss.includes('#'))
      throw refusal('token_claims', 'act', 'The issuer of an actor is not an issuer identifier.');
    actors.push({ party: keyed(named(act, iss, rules), act, rules), act });
    next = act.act;
  }
  return actors;
}

/** An actor of the chain, with the key that it has when it calls itself, where its `act` says enough. */
function keyed(actor: Party, act: JsonObject, { issuer, agentKey }: DelegationRules): Party {
  const isOurs = agentKey !== undefined && actor.issuer === issuer;
  const key = isOurs ? keyOfClaim(issuer, agentKey, { named: act, token: {} }) : undefined;
  return key === undefined ? actor : { ...actor, agentKey: key };
}
