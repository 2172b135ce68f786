// The gateway as an issuer of tokens: the documents that it publishes (OpenID Connect Discovery 1.0, RFC 7517) and the
// key that signs. Verifiers fetch both documents from the agents' listener under /countersign. The documents hold
// public keys only.

import type { Clock } from '../domain/clock.ts';
import type { JsonObject } from '../domain/json.ts';
import type { SecretSource } from '../domain/secret.ts';
import { createJwtSigner, type JwtSigner } from './jwt-signer.ts';
import { type SigningKey, signingKeyFrom } from './signing-key.ts';

/** Keys that overlap: more keys are published than the one that signs. */
export interface KeyRing {
  /** The key that signs now. */
  signing(): Promise<SigningKey>;
  /** Every key that a verifier must know. */
  published(): Promise<readonly SigningKey[]>;
}

export interface GatewayIssuer extends JwtSigner {
  /** The document at this path below the issuer's URL; undefined when there is none. */
  document(path: string): Promise<JsonObject | undefined>;
}

/**
 * `issuer` is the public URL of the agents' listener's `/countersign`. Signs whatever claims it is given: who may speak
 * for whom is decided before.
 *
 * @example
 * const issuer = createGatewayIssuer('https://gateway.example.org/countersign', createFileKeyRing([key]), clock);
 * const { text } = await issuer.sign({ sub: 'agent', aud: 'https://ledger.example.org' }, 120_000);
 */
export function createGatewayIssuer(issuer: string, ring: KeyRing, clock: Clock): GatewayIssuer {
  return {
    ...createJwtSigner(issuer, ring.signing, clock),
    async document(path) {
      switch (path) {
        case '/.well-known/openid-configuration':
          return {
            issuer,
            jwks_uri: `${issuer}/jwks.json`,
            response_types_supported: ['id_token'],
            subject_types_supported: ['public'],
            id_token_signing_alg_values_supported: [
              ...new Set((await ring.published()).map(({ algorithm }) => algorithm)),
            ],
            claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'act', 'scope', 'countersign_hold'],
          };
        case '/jwks.json':
          return { keys: (await ring.published()).map(({ publicJwk }) => publicJwk as JsonObject) };
        default:
          return undefined;
      }
    },
  };
}

/**
 * The operator's keys: the first signs, all are published. To rotate, add the new one at the end, wait, and move it to
 * the front. Throws TypeError for none.
 */
export function createFileKeyRing(sources: readonly SecretSource[]): KeyRing {
  const [first, ...others] = sources.map((source) => signingKeyFrom(source));
  if (first === undefined) throw new TypeError('an issuer needs a key');
  return { signing: first, published: () => Promise.all([first, ...others].map((key) => key())) };
}
