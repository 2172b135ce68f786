// Proves that a token was signed by a key of its issuer. Trusts the key source. Before this, nothing in the token can
// be trusted. Refuses algorithms outside the issuer's list, keys that the issuer does not publish, and signatures that
// no candidate key made.

import { compactVerify, errors } from 'jose';
import { GatewayError } from '../../errors.ts';
import type { SignatureAlgorithm } from '../keys/algorithms.ts';
import { candidateKeys, type KeySet, type VerificationKey } from '../keys/key-set.ts';
import type { KeyLookup } from '../keys/key-source.ts';
import { refusal } from '../refusal.ts';
import type { UnverifiedJws } from './unverified-jws.ts';

const RETRY_AFTER_SECONDS = 5;

/**
 * Resolves to the key set that the signature holds under. Throws `token_algorithm`, `token_key_unknown`,
 * `token_signature`, `issuer_unavailable` (there are no keys, or they are changing).
 */
export async function proveSignature(
  jws: UnverifiedJws,
  keys: KeyLookup,
  algorithms: readonly SignatureAlgorithm[],
): Promise<KeySet> {
  const { alg, kid } = jws.header;
  if (!algorithms.some((accepted) => accepted === alg)) {
    throw refusal('token_algorithm', 'alg', `Accepted algorithms: ${algorithms.join(', ')}.`);
  }
  let keySet = keys.current();
  let candidates = keySet === undefined ? [] : candidateKeys(keySet, alg, kid);
  let heldBackMs = 0;
  if (candidates.length === 0) {
    heldBackMs = keys.heldBackMs?.() ?? 0;
    keySet = await keys.renew();
    candidates = keySet === undefined ? [] : candidateKeys(keySet, alg, kid);
  }
  if (keySet === undefined) {
    const detail = 'The keys of the token’s issuer cannot be had at the moment.';
    throw new GatewayError('issuer_unavailable', detail, {
      retryAfter: RETRY_AFTER_SECONDS,
      members: { check: 'keys' },
    });
  }
  if (candidates.length === 0 && heldBackMs > 0 && !(kid !== undefined && keySet.dropped.has(kid))) {
    const detail =
      'The issuer changed its keys a moment ago, and cannot be asked again yet whether the token’s is one of them.';
    throw new GatewayError('issuer_unavailable', detail, {
      retryAfter: Math.ceil(heldBackMs / 1000),
      members: { check: 'keys_changing' },
    });
  }
  if (candidates.length === 0) throw refusal('token_key_unknown', 'kid', 'The issuer publishes no key for this token.');
  for (const candidate of candidates) {
    if (await isSignedBy(jws, candidate, alg)) return keySet;
  }
  throw refusal('token_signature', 'signature', 'The token’s signature does not hold under its issuer’s keys.');
}

/** Whether this key made a token's signature. */
export async function isSignedBy(jws: UnverifiedJws, { key }: VerificationKey, alg: string): Promise<boolean> {
  try {
    await compactVerify(jws.raw, key, { algorithms: [alg] });
    return true;
  } catch (thrown) {
    // Whatever else jose refuses in the token or the key leaves the signature unproven, too. Any other fault is ours
    // and must be heard.
    if (thrown instanceof errors.JOSEError || thrown instanceof TypeError) return false;
    throw thrown;
  }
}
