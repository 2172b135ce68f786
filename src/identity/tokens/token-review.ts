// Kubernetes service-account tokens: the API server is asked whether the token still holds (TokenReview,
// authentication.k8s.io/v1), because a token outlives its deleted pod or account otherwise. The signature is proven
// before, so only the cluster's own tokens are sent there.

import { isJsonObject, type Json } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import type { PemSource } from '../../domain/pem.ts';
import type { Principal } from '../../domain/principal.ts';
import type { SecretSource } from '../../domain/secret.ts';
import { refusal } from '../refusal.ts';
import { createIssuerQuery } from './issuer-query.ts';

export interface TokenReviewOptions {
  /** The API server: `https://kubernetes.default.svc`. */
  readonly apiServer: string;
  /** Its authority, read anew each time: clusters rotate theirs. */
  readonly ca?: PemSource;
  /**
   * The gateway's own service-account token, read anew each time: it rotates. It needs the right to create tokenreviews
   * (role system:auth-delegator).
   */
  readonly token: SecretSource;
}

/** Throws `token_inactive`, `issuer_unavailable`. */
export type TokenReview = (raw: string, principal: Principal) => Promise<void>;

export function createTokenReview(
  { apiServer, ca, token }: TokenReviewOptions,
  name: string,
  audience: readonly string[],
  log: Logger,
): TokenReview {
  const address = `${apiServer.replace(/\/$/, '')}/apis/authentication.k8s.io/v1/tokenreviews`;
  const ask = createIssuerQuery({ name, check: 'token_review', address }, log);
  return async (raw, { subject }) => {
    const answer = await ask({
      headers: { authorization: `Bearer ${token.read().reveal()}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: raw, audiences: audience },
      }),
      ...(ca !== undefined && { ca: ca.read() }),
    });
    if (!holds(answer, subject, audience))
      throw refusal('token_inactive', 'token_review', 'The cluster says that the token is not in force.');
  };
}

/** An API server that does not know audiences answers without them. That confirms nothing about ours. */
function holds(answer: Json, subject: string, audience: readonly string[]): boolean {
  const status = isJsonObject(answer) && isJsonObject(answer.status) ? answer.status : {};
  const { authenticated, audiences, user } = status;
  const confirmed =
    Array.isArray(audiences) && audiences.some((entry) => typeof entry === 'string' && audience.includes(entry));
  return authenticated === true && confirmed && isJsonObject(user) && user.username === subject;
}
