// Provider `token-exchange` (RFC 8693): the agent's own token is exchanged for one that is good at the upstream, so that the upstream
// sees who acts. Trusts the configured issuer. Refuses callers without a token (X.509-SVIDs) and answers with another kind of token
// than the one asked for. What was exchanged for one token is never used for calls that came with another.

import { sha256 } from '../domain/canonical.ts';
import type { Grant } from '../domain/credential.ts';
import type { Secret, SecretSource } from '../domain/secret.ts';
import { type BrokerProvider, unavailable } from './broker-provider.ts';
import { createOAuthClient, type OAuthClientOptions } from './oauth-client.ts';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange';

// RFC 8693 section 3.
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export type TokenExchangeOptions = OAuthClientOptions & {
  /** What the agent's token is presented as; default `jwt` for JWT-SVIDs, `access_token` for tokens of OIDC issuers. */
  readonly subjectTokenType?: string;
  /** Any token type URI; default `access_token`. The answer must hold this type. */
  readonly requestedTokenType?: string;
  /** A token that stands for the gateway as the acting party, where the issuer wants one; `actorTokenType` defaults to `access_token`. */
  readonly actorToken?: SecretSource;
  readonly actorTokenType?: string;
};

export function createTokenExchangeProvider(options: TokenExchangeOptions): BrokerProvider {
  const client = createOAuthClient(options);
  const requested = options.requestedTokenType ?? ACCESS_TOKEN;
  return {
    type: 'token-exchange',
    shareable: true,
    reuseMs: client.reuseMs,
    shareKey: ({ subjectToken }) => (subjectToken === undefined ? '' : digestOf(subjectToken)),
    async mint(grant) {
      const parameters = { ...subject(grant, options), requested_token_type: requested, ...actor(options) };
      return client.mint(grant, GRANT_TYPE, parameters, ({ issued_token_type }) =>
        issued_token_type === requested ? undefined : 'The issuer made another kind of token than the one asked for.',
      );
    },
    revoke: client.revoke,
  };
}

function subject({ subjectToken, principal }: Grant, options: TokenExchangeOptions): Record<string, string> {
  if (subjectToken === undefined) throw unavailable('The caller has no token that could be exchanged.');
  const type = options.subjectTokenType ?? (principal.kind === 'spiffe' ? JWT : ACCESS_TOKEN);
  return { subject_token: subjectToken.reveal(), subject_token_type: type };
}

function actor({ actorToken, actorTokenType = ACCESS_TOKEN }: TokenExchangeOptions): Record<string, string> {
  return actorToken === undefined ? {} : { actor_token: actorToken.read().reveal(), actor_token_type: actorTokenType };
}

// Identity keeps one Secret per verified token, so the digest is computed once per token.
const digests = new WeakMap<Secret, string>();

function digestOf(token: Secret): string {
  let digest = digests.get(token);
  if (digest === undefined) {
    digest = sha256(token.reveal());
    digests.set(token, digest);
  }
  return digest;
}
