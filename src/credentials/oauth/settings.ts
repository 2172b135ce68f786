// The settings of a client at an OAuth authorization server: how the server is found, how the gateway proves itself
// there, and what it asks for. Refuses keys that contradict one another.

import { z } from 'zod';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { describeExpiring, describeTakenBack } from '../credential-type.ts';
import { issuerTimeout } from '../settings.ts';
import type { OAuthClientOptions, OAuthEndpoints } from './client.ts';
import type { ClientAuthOptions } from './client-auth.ts';

export const oauthKeys = (context: ConfigContext) => ({
  issuer: secureUrl().exactOptional().describe('The authorization server; its endpoints are discovered (RFC 8414)'),
  tokenEndpoint: secureUrl().exactOptional().describe('Instead of issuer, for a server without discovery'),
  revocationEndpoint: secureUrl().exactOptional().describe('With tokenEndpoint: where tokens are revoked (RFC 7009)'),
  clientId: z.string().min(1),
  clientSecret: secret(context).exactOptional().describe('For basic and post'),
  clientKey: secret(context)
    .exactOptional()
    .describe('For private_key_jwt: a private key in PEM (RSA, P-256, P-384 or Ed25519)'),
  clientKeyId: z
    .string()
    .min(1)
    .exactOptional()
    .describe('The kid that the issuer knows the key by; default its thumbprint (RFC 7638)'),
  clientAuth: z
    .enum(['basic', 'post', 'private_key_jwt', 'none'])
    .default('basic')
    .describe('How the client proves itself at the token endpoint; default basic'),
  scope: z
    .string()
    .min(1)
    .exactOptional()
    .describe('Scopes to ask for, separated by spaces; a rule’s credential.scope narrows them'),
  tolerateScopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'Write one scope an entry.' }))
    .exactOptional()
    .describe(
      'Scopes that the issuer may give beside those asked for, like [profile, email]; others are refused; default none',
    ),
  resource: z.string().min(1).exactOptional().describe('RFC 8707 resource'),
  audience: z.string().min(1).exactOptional(),
  revoke: z.boolean().default(true).describe('Whether a token is revoked when its call is over; default true'),
  timeout: issuerTimeout(),
  maxLifetime: maxLifetime('Tokens that live longer are refused and taken back; default: no bound'),
});

export function maxLifetime(meaning: string) {
  return duration({ least: '1s', most: '365d' }).exactOptional().describe(meaning);
}

type OAuthKeys = z.output<z.ZodObject<ReturnType<typeof oauthKeys>>>;

/** Adds a fault for a key. */
type Refuse = (key: string, message: string) => undefined;

/** The keys as the options of a client. For `transform`: an issue refuses the settings, whatever is returned. */
export function readOAuthClient(keys: OAuthKeys, context: z.RefinementCtx): OAuthClientOptions {
  const refuse: Refuse = (key, message) => void context.addIssue({ code: 'custom', path: [key], message });
  const endpoints = readEndpoints(keys, refuse);
  const authentication = readClientAuth(keys, refuse);
  if (endpoints === undefined || authentication === undefined) return z.NEVER;
  const {
    clientId,
    scope,
    tolerateScopes = [],
    resource,
    audience,
    revoke,
    timeout,
    maxLifetime: maxLifetimeMs,
  } = keys;
  return {
    endpoints,
    authentication,
    clientId,
    ...(scope !== undefined && { scope }),
    tolerateScopes,
    ...(resource !== undefined && { resource }),
    ...(audience !== undefined && { audience }),
    revoke,
    timeoutMs: timeout,
    ...(maxLifetimeMs !== undefined && { maxLifetimeMs }),
  };
}

function readEndpoints(
  { issuer, tokenEndpoint, revocationEndpoint, revoke }: OAuthKeys,
  refuse: Refuse,
): OAuthEndpoints | undefined {
  if (issuer !== undefined && tokenEndpoint === undefined) {
    return revocationEndpoint === undefined
      ? { issuer }
      : refuse('revocationEndpoint', 'Remove this key: with issuer, the endpoint is discovered.');
  }
  if (issuer === undefined && tokenEndpoint !== undefined) {
    if (revocationEndpoint !== undefined) return { tokenEndpoint, revocationEndpoint };
    return revoke ? refuse('revoke', 'Set revocationEndpoint, or write revoke: false.') : { tokenEndpoint };
  }
  return refuse('issuer', 'Set either issuer or tokenEndpoint.');
}

function readClientAuth(
  { clientAuth, clientSecret, clientKey, clientKeyId }: OAuthKeys,
  refuse: Refuse,
): ClientAuthOptions | undefined {
  const needsSecret = clientAuth === 'basic' || clientAuth === 'post';
  if (!needsSecret && clientSecret !== undefined) refuse('clientSecret', `Not with clientAuth: ${clientAuth}.`);
  if (clientAuth === 'private_key_jwt') {
    if (clientKey === undefined) return refuse('clientKey', 'This key is required.');
    return { method: clientAuth, key: clientKey, ...(clientKeyId !== undefined && { keyId: clientKeyId }) };
  }
  if (clientKey !== undefined) refuse('clientKey', 'Only with clientAuth: private_key_jwt.');
  if (clientKeyId !== undefined) refuse('clientKeyId', 'Only with clientAuth: private_key_jwt.');
  if (!needsSecret) return { method: clientAuth };
  if (clientSecret === undefined) return refuse('clientSecret', 'This key is required.');
  return { method: `client_secret_${clientAuth}`, secret: clientSecret };
}

/** The issuer as an audience: the identifier, or the token endpoint where no identifier is known. */
export const peerOf = ({ endpoints }: Pick<OAuthClientOptions, 'endpoints'>): string =>
  'issuer' in endpoints ? endpoints.issuer : endpoints.tokenEndpoint;

/** The client at the server, whichever of its endpoints is named. */
export const oauthClientOf = ({ client }: { readonly client: OAuthClientOptions }): string =>
  `${client.clientId} at ${new URL(peerOf(client)).host}`;

export const describeOAuth = ({ type, client }: { readonly type: string; readonly client: OAuthClientOptions }) =>
  client.revoke ? describeTakenBack(type) : describeExpiring(type);
