// Public keys of one issuer or trust domain, read from a JWKS (RFC 7517) or a SPIFFE bundle. A KeySet object stands for
// one generation: it is replaced when the keys change, and stays the same object otherwise. Refuses symmetric and
// private keys, weak RSA keys and keys meant for something else; one bad entry does not spoil the others.

import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject, presentMembers } from '../../domain/json.ts';
import { isSignatureAlgorithm, type KeyKind, keyKindOf, sameAlgorithm } from './algorithms.ts';
import { KeyFault } from './key-fault.ts';

export interface VerificationKey {
  readonly key: KeyObject;
  readonly kind: KeyKind;
  readonly kid?: string;
  readonly alg?: string;
}

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  /** Names of the keys that the previous generation had and this one lacks. */
  readonly dropped: ReadonlySet<string>;
}

/**
 * What a key is for: `sig` in an OIDC issuer's JWKS (where `use` may be absent), `jwt-svid` in a SPIFFE bundle (where
 * it may not), `workload-api` in what the Workload API gives: JWT authorities only, and SPIRE writes them without
 * `use`.
 */
export type KeyUse = 'sig' | 'jwt-svid' | 'workload-api';

const MAX_KEYS = 256;
const MAX_CANDIDATES = 4;
const RSA_BITS = { min: 2048, max: 8192 };

/** Private members of JWKs (RFC 7518 section 6, RFC 8037 section 2) and `k` of symmetric ones. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** Reads the usable keys of a JWKS document; the rest is left out. Throws KeyFault `not_a_jwks`, `too_many_keys`. */
export function readKeySet(document: Json, use: KeyUse, previous?: KeySet): KeySet {
  const entries = isJsonObject(document) ? document.keys : undefined;
  if (!Array.isArray(entries)) throw new KeyFault('not_a_jwks');
  if (entries.length > MAX_KEYS) throw new KeyFault('too_many_keys');
  const keys = entries.map((entry: Json) => readKey(entry, use)).filter((key) => key !== undefined);
  const kept = new Set(keys.map(({ kid }) => kid));
  const dropped = (previous?.keys ?? []).flatMap(({ kid }) => (kid === undefined || kept.has(kid) ? [] : [kid]));
  return { keys, dropped: new Set(dropped) };
}

/**
 * The keys that may have signed a token: right kind, right algorithm, right `kid`. A token without `kid` may be of any
 * of them, and issuers do publish one `kid` twice, so there can be several; at most four are tried.
 */
export function candidateKeys(keySet: KeySet, alg: string, kid: string | undefined): readonly VerificationKey[] {
  if (!isSignatureAlgorithm(alg)) return [];
  const kind = keyKindOf(alg);
  return keySet.keys
    .filter(
      (key) =>
        key.kind === kind &&
        (key.alg === undefined || sameAlgorithm(key.alg, alg)) &&
        (kid === undefined || key.kid === kid),
    )
    .slice(0, MAX_CANDIDATES);
}

/** A key that somebody sent along, of an accepted kind and public only. */
export function readPublicKey(jwk: Json): VerificationKey | undefined {
  return readKey(jwk, 'sig');
}

function readKey(entry: Json, use: KeyUse): VerificationKey | undefined {
  if (!isJsonObject(entry)) return undefined;
  const jwk = presentMembers(entry);
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name)) || !isMeantFor(jwk, use)) return undefined;
  const { kid, alg } = jwk;
  if ((kid !== undefined && typeof kid !== 'string') || (alg !== undefined && typeof alg !== 'string'))
    return undefined;
  const key = importKey(jwk);
  const kind = key === undefined ? undefined : kindOf(key);
  if (key === undefined || kind === undefined) return undefined;
  return { key, kind, ...(kid !== undefined && { kid }), ...(alg !== undefined && { alg }) };
}

function isMeantFor(jwk: JsonObject, use: KeyUse): boolean {
  // SPIFFE Trust Domain and Bundle section 4.2.2: JWT authorities carry `use` and `kid`.
  if (use !== 'sig') {
    const meant = jwk.use === 'jwt-svid' || (use === 'workload-api' && jwk.use === undefined);
    return meant && typeof jwk.kid === 'string' && jwk.kid !== '';
  }
  const operations = jwk.key_ops;
  return (
    (jwk.use === undefined || jwk.use === 'sig') &&
    (operations === undefined || (Array.isArray(operations) && operations.includes('verify')))
  );
}

function importKey(jwk: JsonObject): KeyObject | undefined {
  const { kty, crv, n, e, x, y } = jwk;
  try {
    return createPublicKey({ key: { kty, crv, n, e, x, y } as JsonWebKey, format: 'jwk' });
  } catch {
    return undefined;
  }
}

const CURVES: Readonly<Record<string, KeyKind>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function kindOf(key: KeyObject): KeyKind | undefined {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa')
    return modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max ? 'RSA' : undefined;
  if (key.asymmetricKeyType === 'ec') return CURVES[namedCurve];
  return key.asymmetricKeyType === 'ed25519' ? 'Ed25519' : undefined;
}
