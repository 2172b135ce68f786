// Takes a compact JWS apart before anything is verified. Nothing that is read here is authenticated: it only says where
// to look for keys. Refuses every spelling except the one the issuer made, also those that jose accepts (line feeds,
// non-canonical base64url, byte order marks, duplicate members). Refuses headers that bring their own keys or
// extensions.

import { isJsonObject, type Json, type JsonObject, presentMembers } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { refusal } from '../refusal.ts';

/** Bytes: no header section may be larger (`limits.header`), so a token that came in one is shorter. */
export const MAX_TOKEN_LENGTH = 256 * 1024;

const COMPACT = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}$/;

/**
 * Header members that carry or point to keys (RFC 7515 section 4.1), and extensions, of which this verifier knows none.
 */
const FORBIDDEN_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip'];

interface UnverifiedHeader {
  readonly alg: string;
  readonly kid?: string;
  readonly typ?: string;
  /** A key that the token brings along; only for tokens that are meant to. */
  readonly jwk?: JsonObject;
  /** Every member's name, for profiles that allow only some. */
  readonly members: readonly string[];
}

export interface UnverifiedJws {
  readonly raw: string;
  readonly header: UnverifiedHeader;
  readonly payload: Uint8Array;
}

/** Whether a token has the form of a compact JWS. Every other token is opaque. */
export function looksLikeJws(raw: string): boolean {
  return COMPACT.test(raw);
}

/**
 * Splits a compact JWS and reads its header (RFC 7515 section 5.2, steps 1-5). Verifies nothing: prove the signature
 * before you believe a member. `permitted` names members that are otherwise refused. Throws `token_malformed`.
 *
 * @example
 * const { alg, kid } = parseJwsUnverified(text).header;
 */
export function parseJwsUnverified(raw: string, permitted: readonly 'jwk'[] = []): UnverifiedJws {
  if (raw.length > MAX_TOKEN_LENGTH)
    throw refusal('token_malformed', 'size', `The token is longer than ${MAX_TOKEN_LENGTH} bytes.`);
  if (!COMPACT.test(raw))
    throw refusal('token_malformed', 'compact', 'The token is not a JWS in compact serialization.');
  const [header, payload] = raw.split('.').map(decodeCanonical);
  if (header === undefined || payload === undefined)
    throw refusal('token_malformed', 'compact', 'The token is not a JWS in compact serialization.');
  return { raw, header: readHeader(parseObject(header, 'header', 'The token’s header'), permitted), payload };
}

/** The claims of a token whose signature nobody has checked; one that is null is absent. Throws `token_malformed`. */
export function readClaimsUnverified(jws: UnverifiedJws): JsonObject {
  return parseObject(jws.payload, 'payload', 'The token’s payload');
}

function decodeCanonical(part: string): Uint8Array {
  const bytes = Buffer.from(part, 'base64url');
  // Spare bits in the last character would give one signature many spellings, and one token many cache keys.
  if (bytes.toString('base64url') !== part)
    throw refusal('token_malformed', 'base64url', 'The token is not in canonical base64url.');
  return bytes;
}

function parseObject(bytes: Uint8Array, check: string, what: string): JsonObject {
  let value: Json | undefined;
  try {
    value = parseStrictJson(bytes);
  } catch {
    // The parser's message may quote the token: it ends here.
  }
  if (!isJsonObject(value)) throw refusal('token_malformed', check, `${what} is not one unambiguous JSON object.`);
  return presentMembers(value);
}

function readHeader(header: JsonObject, permitted: readonly string[]): UnverifiedHeader {
  const forbidden = FORBIDDEN_HEADERS.find((name) => Object.hasOwn(header, name) && !permitted.includes(name));
  if (forbidden !== undefined)
    throw refusal(
      'token_malformed',
      `header_${forbidden}`,
      `The token’s header must not have the member ${forbidden}.`,
    );
  const { alg, kid, typ, jwk } = header;
  if (typeof alg !== 'string') throw refusal('token_malformed', 'header_alg', 'The token’s header names no algorithm.');
  if (kid !== undefined && typeof kid !== 'string')
    throw refusal('token_malformed', 'header_kid', 'The token’s key id is not a string.');
  if (typ !== undefined && typeof typ !== 'string')
    throw refusal('token_malformed', 'header_typ', 'The token’s type is not a string.');
  return {
    alg,
    ...(kid !== undefined && { kid }),
    ...(typ !== undefined && { typ }),
    ...(isJsonObject(jwk) && { jwk }),
    members: Object.keys(header),
  };
}
