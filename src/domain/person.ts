// Who somebody is, whatever name a token or the configuration has for them: the one author of "the same person". Issuers
// name people differently, so a party has several names, and any of them counts. In doubt two parties are one person.

import { nameKey } from './name.ts';
import type { Party, Principal } from './principal.ts';

/** What names a party: its id, its subject, and the value of its issuer's `personClaim` where there is one. */
export type Named = Pick<Party, 'id' | 'subject' | 'person'>;

/**
 * The folded names under which a person is known, each once. What is kept of a person (a mark, a count, a suspension) is
 * written under every one of these keys and looked up under every one. So what was kept under any name is found by every
 * token that shows this name, whatever else the token shows.
 */
export function personKeys({ id, subject, person }: Named): readonly string[] {
  const names = person === undefined ? [subject, id] : [person, subject, id];
  return [...new Set(names.map(nameKey))];
}

/** Two parties are one person when any name of one is a name of the other. */
export function samePerson(one: Named, other: Named): boolean {
  return isOneOf(one, personKeys(other));
}

/** Whether any of these folded names is a name of the party. */
export function isOneOf(party: Named, keys: Iterable<string>): boolean {
  const own = personKeys(party);
  for (const key of keys) if (own.includes(key)) return true;
  return false;
}

/**
 * The people among these parties, each with all the parties that are theirs. Who shares a name with one account and
 * another name with a second account makes one person of all three.
 */
export function groupByPerson<Member extends Named>(parties: readonly Member[]): readonly (readonly Member[])[] {
  let people: (readonly Member[])[] = [];
  for (const party of parties) {
    const isSame = (accounts: readonly Member[]): boolean => accounts.some((account) => samePerson(account, party));
    people = [...people.filter((accounts) => !isSame(accounts)), [...people.filter(isSame).flat(), party]];
  }
  return people;
}

/** The caller and everyone that it acts for, nearest first. */
export function chainOf(principal: Party & Pick<Principal, 'onBehalfOf'>): readonly Party[] {
  return [principal, ...principal.onBehalfOf];
}

/** What names an agent: its id, and its key where that is another text. */
export type NamedAgent = Pick<Party, 'id' | 'agentKey'>;

export const agentKeyOf = ({ id, agentKey = id }: NamedAgent): string => agentKey;

/** The key of every agent in the call, each once: the caller's, that of its SVID, and those of everyone it acts for. */
export function agentKeysOf({ agentKey, spiffeId, spiffeKey = spiffeId, onBehalfOf }: Principal): readonly string[] {
  const svid = spiffeKey === undefined ? [] : [spiffeKey];
  return [...new Set([agentKey, ...svid, ...onBehalfOf.map(agentKeyOf)])];
}
