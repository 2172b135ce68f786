// From the configuration of a credential to the options of its provider: names of keys become names of options, and
// what is meant by "the gateway signs" becomes its signer.

import type { Config } from '../config/schema.ts';
import { AZURE_AUDIENCE } from '../credentials/azure-federated.ts';
import { createJwtSigner, type JwtSigner } from '../credentials/jwt-signer.ts';
import type { ProviderOptions } from '../credentials/provider.ts';
import { signingKeyFrom } from '../credentials/signing-key.ts';
import type { TokenSource } from '../credentials/token-source.ts';
import type { Clock } from '../domain/clock.ts';
import type { SecretSource } from '../domain/secret.ts';
import { fetchTrusting } from '../upstream/issuer-fetch.ts';

type CredentialConfig = Config['credentials'][string];
type OfType<T extends CredentialConfig['type']> = Extract<CredentialConfig, { type: T }>;
type OauthConfig = OfType<'oauth-client-credentials' | 'token-exchange' | 'jwt-bearer'>;
type TokenConfig = OfType<'jwt-bearer'>['assertion'];

/** What providers are made with besides their configuration. */
export interface CredentialTools {
  readonly clock: Clock;
  /** The gateway as an issuer; present when `signing` is configured. */
  readonly signer?: JwtSigner;
  /** A JWT-SVID of the gateway's own from the Workload API at this address. */
  readonly fetchJwtSvid: (workloadApi: string, audience: readonly string[]) => Promise<string>;
}

const ASSERTION_LIFETIME_MS = 120_000;

export function providerOptions(credential: CredentialConfig, tools: CredentialTools): ProviderOptions {
  switch (credential.type) {
    case 'static':
      return credential;
    case 'oauth-client-credentials':
      return { type: credential.type, ...oauthOptions(credential) };
    case 'token-exchange': {
      const { subjectToken, actorToken, subjectTokenType, actorTokenType, requestedTokenType } = credential;
      return {
        type: credential.type,
        ...oauthOptions(credential),
        ...(subjectTokenType !== undefined && { subjectTokenType }),
        ...(actorTokenType !== undefined && { actorTokenType }),
        requestedTokenType,
        subjectToken: tokenSource(subjectToken, peerOf(credential), tools),
        ...(actorToken && { actorToken: tokenSource(actorToken, peerOf(credential), tools) }),
      };
    }
    case 'jwt-bearer':
      return {
        type: credential.type,
        ...oauthOptions(credential),
        assertion: tokenSource(credential.assertion, peerOf(credential), tools),
      };
    case 'azure-federated':
      return azureOptions(credential, tools);
    case 'gcp-wif': {
      const { lifetime, timeout, subjectToken, ...rest } = credential;
      // The audience that a provider of a pool accepts by default.
      return {
        ...rest,
        lifetimeMs: lifetime,
        timeoutMs: timeout,
        subjectToken: tokenSource(subjectToken, `https:${credential.audience}`, tools),
      };
    }
    case 'signed-jwt': {
      const { lifetime, ...rest } = credential;
      return { ...rest, lifetimeMs: lifetime, signer: signerOf(tools) };
    }
    case 'spiffe-jwt': {
      const { workloadApi, ...rest } = credential;
      return { ...rest, fetchSvid: (audience) => tools.fetchJwtSvid(workloadApi, audience) };
    }
    case 'github-app':
    case 'aws-sts':
    case 'vault':
    case 'kubernetes': {
      const { ca, ...rest } = credential;
      return ca === undefined ? rest : { ...rest, fetch: fetchTrusting(ca) };
    }
    case 'module': {
      const { timeout, ...rest } = credential;
      return { ...rest, timeoutMs: timeout };
    }
  }
}

function oauthOptions(config: OauthConfig) {
  const {
    clientId,
    scope,
    tolerateScopes,
    resource,
    audience,
    revoke,
    timeout,
    maxLifetime,
    issuer,
    tokenEndpoint,
    revocationEndpoint,
  } = config;
  const endpoints =
    issuer === undefined
      ? { tokenEndpoint: tokenEndpoint as string, ...(revocationEndpoint !== undefined && { revocationEndpoint }) }
      : { issuer };
  return {
    ...endpoints,
    ...clientAuthOptions(config),
    clientId,
    revoke,
    timeoutMs: timeout,
    ...(maxLifetime !== undefined && { maxLifetimeMs: maxLifetime }),
    ...(scope !== undefined && { scope }),
    ...(tolerateScopes !== undefined && { tolerateScopes }),
    ...(resource !== undefined && { resource }),
    ...(audience !== undefined && { audience }),
  };
}

/** The schema has seen to it that each method has what it needs. */
function clientAuthOptions({ clientAuth, clientSecret, clientKey, clientKeyId }: OauthConfig) {
  switch (clientAuth) {
    case 'none':
      return { clientAuthentication: 'none' } as const;
    case 'private_key_jwt':
      return {
        clientAuthentication: 'private_key_jwt',
        clientKey: clientKey as SecretSource,
        ...(clientKeyId && { clientKeyId }),
      } as const;
    default:
      return {
        clientAuthentication: `client_secret_${clientAuth}`,
        clientSecret: clientSecret as SecretSource,
      } as const;
  }
}

const peerOf = ({ issuer, tokenEndpoint }: OauthConfig): string => issuer ?? tokenEndpoint ?? '';

function tokenSource(config: TokenConfig, peer: string, tools: CredentialTools): TokenSource {
  if (config === 'agent') return { from: 'agent' };
  if ('read' in config) return { from: 'secret', token: config };
  if ('gateway' in config) {
    const { subject, audience = peer } = config.gateway;
    return { from: 'signer', signer: signerOf(tools), audience, ...(subject !== undefined && { subject }) };
  }
  const { key, keyId, issuer, subject, audience = peer } = config;
  return {
    from: 'signer',
    signer: createJwtSigner(issuer, signingKeyFrom(key, keyId), tools.clock),
    audience,
    subject,
  };
}

function azureOptions(
  { assertion, timeout, maxLifetime, ...rest }: OfType<'azure-federated'>,
  tools: CredentialTools,
): ProviderOptions {
  const options = { ...rest, timeoutMs: timeout, ...(maxLifetime !== undefined && { maxLifetimeMs: maxLifetime }) };
  if ('read' in assertion) return { ...options, assertion: async () => assertion.read().reveal() };
  const claims = { sub: assertion.gateway.subject, aud: AZURE_AUDIENCE };
  const signer = signerOf(tools);
  return { ...options, assertion: async () => (await signer.sign(claims, ASSERTION_LIFETIME_MS)).text };
}

function signerOf({ signer }: CredentialTools): JwtSigner {
  if (signer === undefined) throw new TypeError('the gateway signs nothing without signing.issuer');
  return signer;
}
