// How the gateway proves itself at a token endpoint: by a secret, by a key (RFC 7523 section 2.2), by an assertion that
// another issuer signed (workload identity federation), or not at all. Secrets and keys are read for each request, so
// that rotated ones are picked up.

import {
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
} from 'openid-client';
import type { SecretSource } from '../../domain/secret.ts';
import { signingKeyFrom } from '../signing-key.ts';

export type ClientAuthOptions =
  /** RFC 6749 section 2.3.1. */
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: SecretSource }
  /** `key` is a private key in PEM. `keyId` is the `kid` that the issuer knows; default its thumbprint (RFC 7638). */
  | { readonly method: 'private_key_jwt'; readonly key: SecretSource; readonly keyId?: string }
  /** RFC 7521 section 4.2 with an assertion of another issuer. */
  | { readonly method: 'client_assertion'; readonly assertion: () => Promise<string> }
  | { readonly method: 'none' };

/** `audience` replaces the issuer identifier in assertions, for servers whose metadata was not discovered. */
export function clientAuth(options: ClientAuthOptions, audience: string | undefined): ClientAuth {
  switch (options.method) {
    case 'none':
      return None();
    case 'private_key_jwt':
      return privateKeyJwt(options.key, options.keyId, audience);
    case 'client_assertion':
      // Awaited by the library, although its type does not say so.
      return async (_server, client, body) => {
        body.set('client_id', client.client_id);
        body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
        body.set('client_assertion', await options.assertion());
      };
    case 'client_secret_post':
      return (...request) => ClientSecretPost(options.secret.read().reveal())(...request);
    case 'client_secret_basic':
      return (...request) => ClientSecretBasic(options.secret.read().reveal())(...request);
  }
}

function privateKeyJwt(source: SecretSource, keyId: string | undefined, audience: string | undefined): ClientAuth {
  const current = signingKeyFrom(source, keyId);
  return async (...request) => {
    const { key, kid } = await current();
    const [server] = request;
    const authenticate = PrivateKeyJwt(
      { key, kid },
      {
        [modifyAssertion]: (header, payload) => {
          if (header.alg === 'Ed25519')
            header.alg = nameOfEd25519(server.token_endpoint_auth_signing_alg_values_supported);
          if (audience !== undefined) payload.aud = audience;
        },
      },
    );
    await authenticate(...request);
  };
}

/**
 * The same signature has two names: `Ed25519` (RFC 9864) and the older `EdDSA` (RFC 8037). A server that lists none of
 * them takes the older one.
 */
function nameOfEd25519(listed: unknown): 'Ed25519' | 'EdDSA' {
  const names: readonly unknown[] = Array.isArray(listed) ? listed : [];
  return names.includes('Ed25519') && !names.includes('EdDSA') ? 'Ed25519' : 'EdDSA';
}
