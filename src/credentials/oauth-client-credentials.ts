// Provider `oauth-client-credentials`: a token for the gateway itself (RFC 6749 section 4.4), narrowed per rule by
// scope, audience and resource. Trusts the configured issuer. Refuses what oauth-client.ts refuses.

import type { BrokerProvider } from './broker-provider.ts';
import { createOAuthClient, type OAuthClientOptions } from './oauth-client.ts';

export type ClientCredentialsOptions = OAuthClientOptions;

export function createClientCredentialsProvider(options: ClientCredentialsOptions): BrokerProvider {
  const client = createOAuthClient(options);
  return {
    type: 'oauth-client-credentials',
    shareable: true,
    reuseMs: client.reuseMs,
    mint: (grant) => client.mint(grant, 'client_credentials', {}),
    revoke: client.revoke,
  };
}
