// Credential type `token-exchange` (RFC 8693): one token is exchanged for another that is good at the upstream, so that
// the upstream sees who acts. The subject is the agent unless configured otherwise. An actor token can name the agent or
// the gateway. Trusts the configured issuer. Refuses callers without a token where their token is needed, and answers
// with another kind of token than the one asked for. What was exchanged for one token is never used for a call that came
// with another token.

import { z } from 'zod';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import { credentialType } from '../credential-type.ts';
import { createOAuthClient } from '../oauth/client.ts';
import { describeOAuth, oauthClientOf, oauthKeys, peerOf, readOAuthClient } from '../oauth/settings.ts';
import { ACCESS_TOKEN, createTokenSource, gatewayPaths, shareKeyOf, takeToken, tokenFrom } from '../token-source.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const tokenType = () => z.string().min(1).exactOptional();

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('token-exchange'),
      ...oauthKeys(context),
      subjectToken: tokenFrom(context).default('agent').describe('What is exchanged; default: the agent’s own token'),
      subjectTokenType: tokenType().describe('RFC 8693 subject_token_type; default: by what the token is'),
      actorToken: tokenFrom(context).exactOptional().describe('Who acts, where the issuer wants to know'),
      actorTokenType: tokenType(),
      requestedTokenType: z
        .string()
        .min(1)
        .default(ACCESS_TOKEN)
        .describe('RFC 8693 requested_token_type; default an access token'),
    })
    .transform(
      ({ type, subjectToken, subjectTokenType, actorToken, actorTokenType, requestedTokenType, ...keys }, issues) => ({
        type,
        client: readOAuthClient(keys, issues),
        subjectToken,
        ...(subjectTokenType !== undefined && { subjectTokenType }),
        ...(actorToken !== undefined && { actorToken }),
        ...(actorTokenType !== undefined && { actorTokenType }),
        requestedTokenType,
      }),
    );

export const tokenExchange = credentialType({
  name: 'token-exchange',
  settings,
  create({ type, client: options, requestedTokenType, subjectTokenType, actorTokenType, ...from }, tools) {
    const client = createOAuthClient(options);
    const subject = createTokenSource(from.subjectToken, peerOf(options), tools);
    const actor = from.actorToken && createTokenSource(from.actorToken, peerOf(options), tools);
    return {
      type,
      shareable: true,
      reuseMs: client.reuseMs,
      shareKey: (grant) => `${shareKeyOf(subject, grant)} ${actor === undefined ? '' : shareKeyOf(actor, grant)}`,
      async mint(grant) {
        const exchanged = await takeToken(subject, grant);
        const acting = actor && (await takeToken(actor, grant));
        const parameters = {
          subject_token: exchanged.text,
          subject_token_type: subjectTokenType ?? exchanged.type,
          requested_token_type: requestedTokenType,
          ...(acting && { actor_token: acting.text, actor_token_type: actorTokenType ?? acting.type }),
        };
        return client.mint(grant, GRANT_TYPE, parameters, ({ issued_token_type }) =>
          issued_token_type === requestedTokenType
            ? undefined
            : 'The issuer made another kind of token than the one asked for.',
        );
      },
      revoke: client.revoke,
    };
  },
  describe: describeOAuth,
  clientOf: oauthClientOf,
  signedByGateway: ({ subjectToken, actorToken }) => gatewayPaths({ subjectToken, actorToken }),
});
