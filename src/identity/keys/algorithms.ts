// The signature algorithms that can be accepted at all (RFC 7518 section 3.1, RFC 8037, RFC 9864): asymmetric ones
// only. HMAC and `none` have no entry, so no configuration can let them in.

/** What kind of key an algorithm needs. */
export type KeyKind = 'RSA' | 'P-256' | 'P-384' | 'P-521' | 'Ed25519';

const KEY_KINDS = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
  PS256: 'RSA',
  PS384: 'RSA',
  PS512: 'RSA',
  RS256: 'RSA',
  RS384: 'RSA',
  RS512: 'RSA',
  EdDSA: 'Ed25519',
  Ed25519: 'Ed25519',
} as const satisfies Record<string, KeyKind>;

export type SignatureAlgorithm = keyof typeof KEY_KINDS;

export const SIGNATURE_ALGORITHMS = Object.keys(KEY_KINDS) as readonly SignatureAlgorithm[];

/** What an OIDC issuer entry accepts when it lists nothing. */
export const DEFAULT_ALGORITHMS: readonly SignatureAlgorithm[] = [
  'ES256',
  'ES384',
  'PS256',
  'RS256',
  'EdDSA',
  'Ed25519',
];

/** What a JWT-SVID may use: JWT-SVID section 2.1. EdDSA is not among it. */
export const JWT_SVID_ALGORITHMS: readonly SignatureAlgorithm[] = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
];

export function isSignatureAlgorithm(alg: string): alg is SignatureAlgorithm {
  return Object.hasOwn(KEY_KINDS, alg);
}

export function keyKindOf(alg: SignatureAlgorithm): KeyKind {
  return KEY_KINDS[alg];
}

/** Whether a key marked for one algorithm serves another: only the two names of Ed25519 signatures do. */
export function sameAlgorithm(a: string, b: string): boolean {
  return (
    a === b ||
    (isSignatureAlgorithm(a) && isSignatureAlgorithm(b) && keyKindOf(a) === 'Ed25519' && keyKindOf(b) === 'Ed25519')
  );
}
