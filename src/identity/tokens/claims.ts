// Checks the claims that every kind of token has in common (RFC 7519 section 4.1): audience, times, lifetime. Trusts
// the signature, which was proven before. Refuses claims that are missing or of the wrong type, so that no claim is
// optional by accident.

import { claimAt } from '../../domain/claim.ts';
import type { EpochMs } from '../../domain/clock.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { isName } from '../../domain/name.ts';
import type { Principal } from '../../domain/principal.ts';
import { refusal } from '../refusal.ts';
import { looksLikeSpiffeId } from '../spiffe-id.ts';

export interface ClaimRules {
  /** One of these must be in `aud`. */
  readonly audience: readonly string[];
  /** From `iat` (from now, where there is none) to `exp`, ms. */
  readonly maxLifetimeMs: number;
  /** How far ahead of ours an issuer's clock may be, ms: grace for `nbf` and `iat`. `exp` gets none. */
  readonly clockSkewMs: number;
}

/** JWT-SVID section 4 and RFC 7519 section 4.1.5 speak of at most a few minutes. */
const CLOCK_SKEW_MS = 30_000;

/**
 * The rules of one entry: its own audience, or else that of all. Throws TypeError without an audience: any token of the
 * issuer would do.
 */
export function claimRules(
  { audience, maxLifetimeMs }: { readonly audience?: readonly string[]; readonly maxLifetimeMs: number },
  audienceOfAll: readonly string[],
): ClaimRules {
  const accepted = audience ?? audienceOfAll;
  if (accepted.length === 0 || accepted.includes('')) throw new TypeError('an audience is required');
  return { audience: accepted, maxLifetimeMs, clockSkewMs: CLOCK_SKEW_MS };
}

/**
 * When the token expires. Throws `token_audience`, `token_expired`, `token_not_yet_valid`, `token_lifetime`,
 * `token_claims`.
 */
export function checkCommonClaims(claims: JsonObject, rules: ClaimRules, now: EpochMs): EpochMs {
  checkAudience(claims.aud, rules.audience);
  const expiresAt = readTime(claims, 'exp');
  const notBefore = readTime(claims, 'nbf');
  const issuedAt = readTime(claims, 'iat');
  if (expiresAt === undefined) throw refusal('token_claims', 'exp', 'The token does not say when it expires (exp).');
  if (now >= expiresAt) throw expired();
  if (notBefore !== undefined && notBefore > now + rules.clockSkewMs)
    throw refusal('token_not_yet_valid', 'nbf', 'The token is not valid yet (nbf).');
  if (issuedAt !== undefined && issuedAt > now + rules.clockSkewMs)
    throw refusal('token_not_yet_valid', 'iat', 'The token was issued in the future (iat).');
  if (expiresAt - (issuedAt ?? now) > rules.maxLifetimeMs) {
    throw refusal('token_lifetime', 'lifetime', `The token lives longer than ${rules.maxLifetimeMs / 1000} seconds.`);
  }
  return expiresAt;
}

/**
 * `iss`, to find the entry that verifies a token: unverified. Undefined for a subject in the form of a SPIFFE ID, which
 * only its trust domain may vouch for.
 */
export function issuerClaim({ iss, sub }: JsonObject): string | undefined {
  return typeof iss !== 'string' || (typeof sub === 'string' && looksLikeSpiffeId(sub)) ? undefined : iss;
}

export function expired() {
  return refusal('token_expired', 'exp', 'The token has expired (exp).');
}

/** A claim that has to be a text with something in it. Throws `token_claims`. */
export function requireText(claims: JsonObject, name: string): string {
  const value = claims[name];
  if (typeof value !== 'string' || value === '')
    throw refusal('token_claims', name, `The token has no ${name} that is a text.`);
  return value;
}

/**
 * A subject, fit to be part of a principal's name: it ends up in logs, digests and on reviewers' screens. Throws
 * `token_claims` for an empty or overlong one, and for one with characters that nobody sees: two people must not look
 * like one.
 */
export function requireSubject(claims: JsonObject): string {
  const subject = requireText(claims, 'sub');
  if (!isSubject(subject)) throw refusal('token_claims', 'sub', 'The token’s subject is not fit to be a name.');
  return subject;
}

const LONGEST_SUBJECT = 1024;
const isSubject = (text: string): boolean => text.length <= LONGEST_SUBJECT && isName(text);

/** The one client of a token that names its agent so. Throws `token_claims`. */
export function requireClient(claims: JsonObject): string {
  const [client, ...others] = clientsOf(claims);
  if (client === undefined)
    throw refusal('token_claims', 'client', 'The token does not say which client it was issued to (client_id, azp).');
  if (others.length > 0 || !isSubject(client))
    throw refusal(
      'token_claims',
      'client',
      'The token names more than one client, or one that is not fit to be a name.',
    );
  return client;
}

/**
 * The client that got the token, as issuers name it (RFC 7519 `azp`, RFC 9068 `client_id`, Okta’s `cid`, Entra’s
 * `appid`): each name once.
 */
export function clientsOf({ azp, client_id, cid, appid }: JsonObject): readonly string[] {
  return [
    ...new Set([azp, client_id, cid, appid].filter((name): name is string => typeof name === 'string' && name !== '')),
  ];
}

/**
 * What reviewers are shown of a caller besides its id: the client, and the text of the issuer entry's `displayClaim`,
 * read from `named`, the object that names the caller. A name that `isName` refuses is not shown.
 */
export function displayOf(
  claims: JsonObject,
  named: JsonObject,
  subject: string,
  displayClaim: string | undefined,
): Pick<Principal, 'client' | 'name'> {
  const client = clientsOf(claims).find((name) => name !== subject && isName(name));
  const name = displayClaim === undefined ? undefined : claimAt(named, displayClaim);
  return {
    ...(client !== undefined && { client }),
    ...(typeof name === 'string' && name.length <= LONGEST_NAME && isName(name) && { name }),
  };
}

const LONGEST_NAME = 200;

function checkAudience(audience: Json | undefined, accepted: readonly string[]): void {
  const named = typeof audience === 'string' ? [audience] : audience;
  if (!Array.isArray(named) || !named.every((entry) => typeof entry === 'string'))
    throw refusal('token_claims', 'aud', 'The token names no audience (aud).');
  if (!named.some((entry) => accepted.includes(entry)))
    throw refusal('token_audience', 'aud', 'The token is addressed to another audience (aud).');
}

/**
 * A NumericDate (RFC 7519 section 2). A fraction of a second never makes the end later or the beginning earlier. Texts,
 * 1e400 and numbers that are no safe number of milliseconds are refused: parsers read them differently.
 */
function readTime(claims: JsonObject, name: 'exp' | 'nbf' | 'iat'): EpochMs | undefined {
  const seconds = claims[name];
  if (seconds === undefined) return undefined;
  const at = typeof seconds === 'number' ? (name === 'nbf' ? Math.ceil : Math.floor)(seconds * 1000) : Number.NaN;
  if (at < 0 || !Number.isSafeInteger(at))
    throw refusal('token_claims', name, `The token’s ${name} is not a time in seconds.`);
  return at;
}
