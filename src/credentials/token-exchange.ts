// Provider `token-exchange` (RFC 8693): one token is exchanged for another that is good at the upstream, so that the
// upstream sees who acts. The subject is the agent unless configured otherwise, and an actor token can name the agent
// or the gateway. Trusts the configured issuer. Refuses callers without a token where theirs is needed, and answers
// with another kind of token than the one asked for. What was exchanged for one token is never used for calls that came
// with another.

import type { BrokerProvider } from './broker-provider.ts';
import { createOAuthClient, type OAuthClientOptions } from './oauth-client.ts';
import { ACCESS_TOKEN, shareKeyOf, type TokenSource, takeToken } from './token-source.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange';

export type TokenExchangeOptions = OAuthClientOptions & {
  /** Default: the agent's own token. */
  readonly subjectToken?: TokenSource;
  /**
   * What the subject token is presented as; default `jwt` for JWT-SVIDs and what the gateway signs, else
   * `access_token`.
   */
  readonly subjectTokenType?: string;
  /** Any token type URI; default `access_token`. The answer must hold this type. */
  readonly requestedTokenType?: string;
  /** Who acts, where the issuer wants to know (RFC 8693 section 2.1). */
  readonly actorToken?: TokenSource;
  readonly actorTokenType?: string;
};

export function createTokenExchangeProvider(options: TokenExchangeOptions): BrokerProvider {
  const client = createOAuthClient(options);
  const requested = options.requestedTokenType ?? ACCESS_TOKEN;
  const subject = options.subjectToken ?? { from: 'agent' };
  const { actorToken: actor } = options;
  return {
    type: 'token-exchange',
    shareable: true,
    reuseMs: client.reuseMs,
    shareKey: (grant) => `${shareKeyOf(subject, grant)} ${actor === undefined ? '' : shareKeyOf(actor, grant)}`,
    async mint(grant) {
      const { text, type } = await takeToken(subject, grant);
      const acting = actor && (await takeToken(actor, grant));
      const parameters = {
        subject_token: text,
        subject_token_type: options.subjectTokenType ?? type,
        requested_token_type: requested,
        ...(acting && { actor_token: acting.text, actor_token_type: options.actorTokenType ?? acting.type }),
      };
      return client.mint(grant, GRANT_TYPE, parameters, ({ issued_token_type }) =>
        issued_token_type === requested ? undefined : 'The issuer made another kind of token than the one asked for.',
      );
    },
    revoke: client.revoke,
  };
}
