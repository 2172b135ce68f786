// Tokens that speak for somebody at an issuer: the agent's own, one that the gateway signs, one signed with a key that
// the issuer has on file, or one that the platform mounts (for example a projected Kubernetes service account token).
// They go to issuers only, never to an upstream.

import { z } from 'zod';
import { sha256 } from '../domain/canonical.ts';
import type { Grant } from '../domain/credential.ts';
import type { SecretSource } from '../domain/secret.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';
import { unavailable } from './broker-provider.ts';
import type { CredentialTools } from './credential-type.ts';
import { createJwtSigner, delegation, type JwtSigner } from './jwt-signer.ts';
import { signingKeyFrom } from './signing-key.ts';

// RFC 8693 section 3.
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const AN_ASSERTION =
  'Write { file: PATH }, { env: NAME }, { gateway: … } or, where the agent’s own token serves, agent.';

// Without transforms: in a union they would hide which branch was meant, and with it what is wrong there.
const gatewayToken = () =>
  z.strictObject({
    gateway: z.strictObject({
      subject: z.string().min(1).exactOptional().describe('Its sub; default: the agent, or whom it acts for'),
      audience: z.string().min(1).exactOptional().describe('Its aud; default: the issuer that it is sent to'),
    }),
  });

const keyAssertion = (context: ConfigContext) =>
  z.strictObject({
    key: secret(context).describe('A private key in PEM that the issuer has on file'),
    keyId: z.string().min(1).exactOptional(),
    issuer: z.string().min(1).describe('Its iss, often the client id or the service account'),
    subject: z.string().min(1).describe('Its sub'),
    audience: z.string().min(1).exactOptional().describe('Its aud; default: the issuer that it is sent to'),
  });

/** The agent’s own token, one signed by the gateway (needs `signing`), or a mounted one. */
export const tokenFrom = (context: ConfigContext) =>
  z.union([z.literal('agent'), gatewayToken(), secret(context)], { error: AN_ASSERTION });

/** As tokenFrom, or one signed with a key that the issuer has on file. */
export const assertionFrom = (context: ConfigContext) =>
  z.union([z.literal('agent'), gatewayToken(), secret(context), keyAssertion(context)], { error: AN_ASSERTION });

type TokenSettings = DeepReadonly<z.output<ReturnType<typeof assertionFrom>>>;

/** The keys whose token the gateway would sign, as paths. */
export const gatewayPaths = (
  tokens: Readonly<Record<string, TokenSettings | undefined>>,
): readonly (readonly string[])[] =>
  Object.entries(tokens).flatMap(([key, token]) =>
    typeof token === 'object' && 'gateway' in token ? [[key, 'gateway']] : [],
  );

export type TokenSource =
  | { readonly from: 'agent' }
  /** Signed for this call: `subject` defaults to the agent, or to whom it acts for; `act` always names the agent. */
  | { readonly from: 'signer'; readonly signer: JwtSigner; readonly audience: string; readonly subject?: string }
  | { readonly from: 'secret'; readonly token: SecretSource };

/** `peer` is the issuer that the token is sent to: the audience, unless the settings name another. */
export function createTokenSource(settings: TokenSettings, peer: string, tools: CredentialTools): TokenSource {
  if (settings === 'agent') return { from: 'agent' };
  if ('read' in settings) return { from: 'secret', token: settings };
  if ('gateway' in settings) {
    const { subject, audience = peer } = settings.gateway;
    return { from: 'signer', signer: signerOf(tools), audience, ...(subject !== undefined && { subject }) };
  }
  const { key, keyId, issuer, subject, audience = peer } = settings;
  const signer = createJwtSigner(issuer, signingKeyFrom(key, keyId), tools.clock);
  return { from: 'signer', signer, audience, subject };
}

/** The gateway as an issuer. Throws TypeError without one: the configuration's check of references comes first. */
export function signerOf({ signer }: CredentialTools): JwtSigner {
  if (signer === undefined) throw new TypeError('signing.issuer is not set, so the gateway signs nothing');
  return signer;
}

/** How long a token lives that the gateway signs for an issuer. */
export const ASSERTION_LIFETIME_MS = 120_000;

/** The token for this call, and the type that it has by default. Throws `credential_unavailable`. */
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

/** Keeps credentials apart that were made with different tokens of the agents. Holds no secret. */
export function shareKeyOf(source: TokenSource, { subjectToken }: Grant): string {
  return source.from === 'agent' && subjectToken !== undefined ? sha256(subjectToken.reveal()) : '';
}
