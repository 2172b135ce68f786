// Tokens that speak for somebody at an issuer: the agent's own, one that the gateway signs, or one that the platform
// mounts (for example a projected Kubernetes service account token). They go to issuers only, never to an upstream.

import { sha256 } from '../domain/canonical.ts';
import type { Grant } from '../domain/credential.ts';
import type { Secret, SecretSource } from '../domain/secret.ts';
import { unavailable } from './broker-provider.ts';
import { delegation, type JwtSigner } from './jwt-signer.ts';

// RFC 8693 section 3.
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export type TokenSource =
  | { readonly from: 'agent' }
  /** Signed for this call: `subject` defaults to the agent, or to whom it acts for; `act` always names the agent. */
  | { readonly from: 'signer'; readonly signer: JwtSigner; readonly audience: string; readonly subject?: string }
  | { readonly from: 'secret'; readonly token: SecretSource };

const ASSERTION_LIFETIME_MS = 120_000;

/** The token for this call, and the type that it is by default. Throws `credential_unavailable`. */
export async function takeToken(
  source: TokenSource,
  grant: Grant,
): Promise<{ readonly text: string; readonly type: string }> {
  switch (source.from) {
    case 'agent':
      if (grant.subjectToken === undefined) throw unavailable('The caller has no token that could be exchanged.');
      return { text: grant.subjectToken.reveal(), type: grant.principal.kind === 'spiffe' ? JWT : ACCESS_TOKEN };
    case 'signer':
      return { text: await signFor(source, grant), type: JWT };
    case 'secret':
      return { text: source.token.read().reveal(), type: ACCESS_TOKEN };
  }
}

async function signFor(
  { signer, audience, subject }: Extract<TokenSource, { from: 'signer' }>,
  grant: Grant,
): Promise<string> {
  const claims = { ...delegation(grant), aud: audience, ...(subject !== undefined && { sub: subject }) };
  return (await signer.sign(claims, ASSERTION_LIFETIME_MS)).text;
}

/** What tells credentials that were had with one token of this source from those of another; no secret. */
export function shareKeyOf(source: TokenSource, { subjectToken }: Grant): string {
  return source.from === 'agent' && subjectToken !== undefined ? digestOf(subjectToken) : '';
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
