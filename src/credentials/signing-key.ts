// A private key that signs JWTs, from PEM text that is read each time, so that a rotated file is picked up. Trusts
// everybody who may write the file. Refuses RSA keys under 2048 bits, and kinds of keys that few verifiers know.

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, importPKCS8, type JWK } from 'jose';
import type { SecretSource } from '../domain/secret.ts';
import { unavailable } from './broker-provider.ts';

export interface SigningKey {
  readonly key: CryptoKey;
  /** The configured id, or the key's thumbprint (RFC 7638). */
  readonly kid: string;
  readonly algorithm: string;
  /** The public half with kid, alg and use, as a JWKS publishes it. */
  readonly publicJwk: JWK;
}

/** The key as it is now. Throws `credential_unavailable` when it cannot be read or used. */
export type SigningKeySource = () => Promise<SigningKey>;

const LEAST_RSA_BITS = 2048;

export function signingKeyFrom(source: SecretSource, keyId?: string): SigningKeySource {
  let last: { readonly pem: string; readonly key: Promise<SigningKey> } | undefined;
  return () => {
    const pem = source.read().reveal();
    if (last?.pem !== pem) last = { pem, key: importSigningKey(pem, keyId) };
    return last.key;
  };
}

export async function importSigningKey(pem: string, keyId?: string): Promise<SigningKey> {
  try {
    const secretKey = createPrivateKey(pem);
    const algorithm = algorithmOf(secretKey);
    const jwk = await exportJWK(createPublicKey(secretKey));
    const kid = keyId ?? (await calculateJwkThumbprint(jwk));
    const key = await importPKCS8(secretKey.export({ type: 'pkcs8', format: 'pem' }).toString(), algorithm);
    return { key, kid, algorithm, publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' } };
  } catch {
    // The library's message might quote the key.
    throw unavailable(
      'The signing key is not a usable private key: PEM of RSA with at least 2048 bits, or of the curves ' +
        'P-256, P-384 or Ed25519.',
    );
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= LEAST_RSA_BITS) return 'RS256';
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'secp384r1') return 'ES384';
  if (asymmetricKeyType === 'ed25519') return 'EdDSA';
  throw new TypeError('unusable key');
}
