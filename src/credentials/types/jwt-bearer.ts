// Credential type `jwt-bearer` (RFC 7523 section 2.1): a signed assertion is the grant. The assertion is the agent's own
// token, or one that the gateway signs as an issuer, or one signed with a key that the issuer has on file (service
// accounts), or one that the platform mounts. Trusts the configured issuer. Refuses what oauth/client.ts refuses.

import { z } from 'zod';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import { credentialType } from '../credential-type.ts';
import { createOAuthClient } from '../oauth/client.ts';
import { describeOAuth, oauthClientOf, oauthKeys, peerOf, readOAuthClient } from '../oauth/settings.ts';
import { assertionFrom, createTokenSource, gatewayPaths, shareKeyOf, takeToken } from '../token-source.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('jwt-bearer'),
      ...oauthKeys(context),
      assertion: assertionFrom(context).describe('The grant (RFC 7523 section 2.1)'),
    })
    .transform(({ type, assertion, ...keys }, issues) => ({ type, assertion, client: readOAuthClient(keys, issues) }));

export const jwtBearer = credentialType({
  name: 'jwt-bearer',
  settings,
  create({ type, assertion: from, client: options }, tools) {
    const client = createOAuthClient(options);
    const assertion = createTokenSource(from, peerOf(options), tools);
    return {
      type,
      shareable: true,
      reuseMs: client.reuseMs,
      shareKey: (grant) => shareKeyOf(assertion, grant),
      mint: async (grant) => client.mint(grant, GRANT_TYPE, { assertion: (await takeToken(assertion, grant)).text }),
      revoke: client.revoke,
    };
  },
  describe: describeOAuth,
  clientOf: oauthClientOf,
  signedByGateway: ({ assertion }) => gatewayPaths({ assertion }),
});
