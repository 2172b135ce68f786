// How the gateway proves itself at a token endpoint: a secret, a key (RFC 7523 section 2.2), an assertion that somebody
// else signed (workload identity federation), or not at all. Secrets and keys are read for each request, so that
// rotated ones are picked up.

import {
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
} from 'openid-client';
import type { SecretSource } from '../domain/secret.ts';
import { signingKeyFrom } from './signing-key.ts';

export type ClientAuthOptions =
  /** RFC 6749 section 2.3.1; default `client_secret_basic`. */
  | {
      readonly clientSecret: SecretSource;
      readonly clientAuthentication?: 'client_secret_basic' | 'client_secret_post';
    }
  /**
   * `clientKey` is a private key in PEM; `clientKeyId` the `kid` that the issuer knows it by, default its thumbprint
   * (RFC 7638).
   */
  | {
      readonly clientAuthentication: 'private_key_jwt';
      readonly clientKey: SecretSource;
      readonly clientKeyId?: string;
    }
  /** RFC 7521 section 4.2 with an assertion of another issuer. */
  | { readonly clientAuthentication: 'client_assertion'; readonly clientAssertion: () => Promise<string> }
  | { readonly clientAuthentication: 'none' };

/** `audience` replaces the issuer identifier in assertions, for servers whose metadata was not discovered. */
export function clientAuth(options: ClientAuthOptions, audience: string | undefined): ClientAuth {
  switch (options.clientAuthentication) {
    case 'none':
      return None();
    case 'private_key_jwt':
      return privateKeyJwt(options.clientKey, options.clientKeyId, audience);
    case 'client_assertion':
      // Awaited by the library, although its type does not say so.
      return async (_server, client, body) => {
        body.set('client_id', client.client_id);
        body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
        body.set('client_assertion', await options.clientAssertion());
      };
    case 'client_secret_post':
      return (...request) => ClientSecretPost(options.clientSecret.read().reveal())(...request);
    default:
      return (...request) => ClientSecretBasic(options.clientSecret.read().reveal())(...request);
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
 * One signature, two names: `Ed25519` (RFC 9864) and the older `EdDSA` (RFC 8037), which servers take that list
 * neither.
 */
function nameOfEd25519(listed: unknown): 'Ed25519' | 'EdDSA' {
  const names: readonly unknown[] = Array.isArray(listed) ? listed : [];
  return names.includes('Ed25519') && !names.includes('EdDSA') ? 'Ed25519' : 'EdDSA';
}
