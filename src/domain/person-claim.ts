// Reads the claim that says which person somebody is (`personClaim`). Trusts that the token was verified. Refuses values
// that are no name, and e-mail addresses that the issuer has not verified: anybody can write such an address into a
// profile.

import { GatewayError } from '../errors.ts';
import { claimAt } from './claim.ts';
import { isName } from './name.ts';

const LONGEST = 1024;
const EMAIL = /^(.*\.)?email$/s;

/**
 * The value of the claim in the object that names the party: the token itself, or the `act` of an actor. Undefined where
 * the object does not say. `email` counts only with `email_verified: true` beside it (OpenID Connect Core section 5.1).
 */
export function personAt(claims: Readonly<Record<string, unknown>>, claim: string): string | undefined {
  const value = claimAt(claims, claim);
  if (typeof value !== 'string' || value.length > LONGEST || !isName(value)) return undefined;
  const email = EMAIL.exec(claim);
  if (email === null) return value;
  return claimAt(claims, `${email[1] ?? ''}email_verified`) === true ? value : undefined;
}

/** For a token that has to say it and does not. `who` begins the sentence. */
export function personUnknown(who: string, claim: string): GatewayError {
  const email = EMAIL.test(claim) ? ' beside email_verified: true' : '';
  const detail = `${who} does not say which person this is: the claim ${claim}${email} is missing or is no name.`;
  return new GatewayError('person_unknown', detail, { members: { check: 'person' } });
}
