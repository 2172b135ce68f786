// Provider `jwt-bearer` (RFC 7523 section 2.1): a signed assertion is the grant. It is the agent's own token, one that
// the gateway signs as an issuer, one signed with a key that the issuer has on file (service accounts), or one that the
// platform mounts. Trusts the configured issuer. Refuses what oauth-client.ts refuses.

import type { BrokerProvider } from './broker-provider.ts';
import { createOAuthClient, type OAuthClientOptions } from './oauth-client.ts';
import { shareKeyOf, type TokenSource, takeToken } from './token-source.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

export type JwtBearerOptions = OAuthClientOptions & { readonly assertion: TokenSource };

export function createJwtBearerProvider(options: JwtBearerOptions): BrokerProvider {
  const client = createOAuthClient(options);
  return {
    type: 'jwt-bearer',
    shareable: true,
    reuseMs: client.reuseMs,
    shareKey: (grant) => shareKeyOf(options.assertion, grant),
    mint: async (grant) =>
      client.mint(grant, GRANT_TYPE, { assertion: (await takeToken(options.assertion, grant)).text }),
    revoke: client.revoke,
  };
}
