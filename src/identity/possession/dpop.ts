// DPoP proofs (RFC 9449 section 4.3): that the sender of this very request holds the key that its token is bound to.
// Trusts the public address in the configuration, never the Host field, for where the request was sent. Refuses proofs
// of other requests, of other tokens and keys, old ones, and those seen before, also by a process before this one: a
// proof is on disk as used before its call goes on. (To refuse instead what was made before this process began would
// refuse everybody for as long as clients' clocks may be ahead.)

import { hash } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { Clock } from '../../domain/clock.ts';
import { headerValues } from '../../domain/headers.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { OnceStore } from '../../domain/once.ts';
import type { InboundRequest } from '../../domain/request.ts';
import { GatewayError } from '../../errors.ts';
import { isSignatureAlgorithm, keyKindOf } from '../keys/algorithms.ts';
import { readPublicKey, type VerificationKey } from '../keys/key-set.ts';
import { failedCheck, refusal } from '../refusal.ts';
import { isSignedBy } from '../tokens/signature.ts';
import { parseJwsUnverified, readClaimsUnverified, type UnverifiedJws } from '../tokens/unverified-jws.ts';
import { createDpopNonce } from './dpop-nonce.ts';
import { createReplayMemory } from './replay-memory.ts';

export interface DpopOptions {
  /** Where agents reach the gateway, without a path: what `htu` is compared with. */
  readonly url: string;
  /** Whether proofs must hold a nonce of this process (section 9). */
  readonly nonce: boolean;
}

export interface DpopVerifier {
  /**
   * Throws `proof_required`, `proof_invalid`, `proof_nonce_required`, `store_unavailable`. A request object that was
   * accepted once stays accepted: it is judged again when its hold is released.
   */
  verify(request: InboundRequest, token: string, thumbprint: string): Promise<void>;
}

/**
 * What proofs leave behind. One for the process: a changed configuration must neither forget used proofs nor void those
 * of calls that wait.
 */
export interface ProofMemory {
  readonly seen: OnceStore;
  readonly accepted: WeakMap<InboundRequest, string>;
}

export function createProofMemory(clock: Clock, seen: OnceStore = createReplayMemory(clock)): ProofMemory {
  return { seen, accepted: new WeakMap() };
}

/** How old a proof may be, and how far ahead the client's clock, ms. */
const MAX_AGE_MS = 60_000;
const MAX_AHEAD_MS = 10_000;
const MAX_JTI_LENGTH = 256;

export function createDpopVerifier(
  { url, nonce }: DpopOptions,
  { seen, accepted }: ProofMemory,
  clock: Clock,
): DpopVerifier {
  const { origin } = new URL(url);
  const nonces = nonce ? createDpopNonce(clock) : undefined;

  async function verify(request: InboundRequest, token: string, thumbprint: string): Promise<void> {
    if (accepted.get(request) === thumbprint) return;
    const jws = readProof(request);
    const key = readKey(jws);
    if (jws.header.typ !== 'dpop+jwt')
      throw refusal('proof_invalid', 'typ', 'The type of a DPoP proof is dpop+jwt (typ).');
    if (!(await isSignedBy(jws, key, jws.header.alg)))
      throw refusal('proof_invalid', 'signature', 'The proof’s signature does not hold under its key.');
    const claims = readClaimsUnverified(jws);
    checkRequest(claims, request, origin);
    checkTime(claims, clock.now());
    if (claims.ath !== hash('sha256', token, 'base64url'))
      throw refusal('proof_invalid', 'ath', 'The proof is for another token (ath).');
    if ((await calculateJwkThumbprint(key.key.export({ format: 'jwk' }))) !== thumbprint) {
      throw refusal('proof_invalid', 'jkt', 'The token is bound to another key than the proof’s.');
    }
    if (nonces !== undefined && !nonces.isCurrent(claims.nonce)) {
      const detail = 'Make the proof with the nonce in the DPoP-Nonce field of this answer.';
      throw new GatewayError('proof_nonce_required', detail, {
        members: { check: 'nonce' },
        dpopNonce: nonces.current(),
      });
    }
    await remember(claims, thumbprint);
    accepted.set(request, thumbprint);
  }

  /** Last of all, so that only proofs that hold take up room. */
  async function remember({ jti }: JsonObject, thumbprint: string): Promise<void> {
    if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
      throw refusal('proof_invalid', 'jti', 'The proof has no identifier (jti).');
    const verdict = await seen.use('dpop-proof', `${thumbprint} ${jti}`, clock.now() + MAX_AGE_MS + MAX_AHEAD_MS);
    if (verdict === 'seen') throw refusal('proof_invalid', 'replay', 'The proof was used before (jti).');
    if (verdict === 'full')
      throw refusal(
        'proof_invalid',
        'replay_memory',
        'Too many proofs arrive for each to be told from a repeated one.',
      );
  }

  return { verify };
}

function readProof({ headers }: InboundRequest): UnverifiedJws {
  const [proof, ...others] = headerValues(headers, 'dpop');
  if (proof === undefined)
    throw refusal('proof_required', 'dpop', 'The token needs a DPoP proof, and the request carries none.');
  if (others.length > 0) throw refusal('proof_invalid', 'repeated', 'The request carries more than one DPoP proof.');
  try {
    const jws = parseJwsUnverified(proof, ['jwk']);
    readClaimsUnverified(jws);
    return jws;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    throw refusal('proof_invalid', failedCheck(thrown), 'The DPoP proof is not a well-formed JWS.');
  }
}

function readKey({ header: { alg, jwk } }: UnverifiedJws): VerificationKey {
  const key = jwk === undefined ? undefined : readPublicKey(jwk);
  if (key === undefined)
    throw refusal('proof_invalid', 'jwk', 'The proof’s header holds no public key of an accepted kind (jwk).');
  if (!isSignatureAlgorithm(alg) || keyKindOf(alg) !== key.kind)
    throw refusal('proof_invalid', 'alg', 'The proof’s algorithm is not accepted, or not its key’s.');
  return key;
}

function checkRequest({ htm, htu }: JsonObject, { method, target }: InboundRequest, origin: string): void {
  if (htm !== method) throw refusal('proof_invalid', 'htm', 'The proof is for another method (htm).');
  const url = typeof htu === 'string' && URL.canParse(htu) ? new URL(htu) : undefined;
  const path = new URL(target.split('?', 1)[0] ?? '', origin).pathname;
  // Section 4.3: compared without query and fragment, after normalisation.
  if (url?.origin !== origin || url.pathname !== path)
    throw refusal('proof_invalid', 'htu', 'The proof is for another address (htu).');
}

function checkTime({ iat }: JsonObject, now: number): void {
  if (typeof iat !== 'number' || !Number.isFinite(iat))
    throw refusal('proof_invalid', 'iat', 'The proof does not say when it was made (iat).');
  const age = now - iat * 1000;
  // At its very end a proof must be refused: that is the moment in which it is forgotten.
  if (age >= MAX_AGE_MS || age < -MAX_AHEAD_MS)
    throw refusal('proof_invalid', 'iat', 'The proof is too old, or made in the future (iat).');
}
