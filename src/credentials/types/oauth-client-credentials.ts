// Credential type `oauth-client-credentials` (RFC 6749 section 4.4): the gateway's own access token, narrowed per rule
// by scope, audience and resource. Trusts the configured issuer. Refuses what oauth/client.ts refuses.

import { z } from 'zod';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import { credentialType } from '../credential-type.ts';
import { createOAuthClient } from '../oauth/client.ts';
import { describeOAuth, oauthClientOf, oauthKeys, readOAuthClient } from '../oauth/settings.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({ type: z.literal('oauth-client-credentials'), ...oauthKeys(context) })
    .transform(({ type, ...keys }, issues) => ({ type, client: readOAuthClient(keys, issues) }));

export const oauthClientCredentials = credentialType({
  name: 'oauth-client-credentials',
  settings,
  create({ type, client: options }) {
    const client = createOAuthClient(options);
    return {
      type,
      shareable: true,
      reuseMs: client.reuseMs,
      mint: (grant) => client.mint(grant, 'client_credentials', {}),
      revoke: client.revoke,
    };
  },
  describe: describeOAuth,
  clientOf: oauthClientOf,
});
