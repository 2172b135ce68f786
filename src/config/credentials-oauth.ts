// Credentials from an OAuth authorization server: how it is found, how the gateway proves itself there, what is asked
// for.

import { z } from 'zod';
import { secureUrl } from '../settings/addresses.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';

export const timeout = () =>
  duration({ least: '100ms', most: '1m' }).prefault('5s').describe('Bound on each request to the issuer; default 5s');

const oauthKeys = (around: ConfigContext) => ({
  issuer: secureUrl().exactOptional().describe('The authorization server; its endpoints are discovered (RFC 8414)'),
  tokenEndpoint: secureUrl().exactOptional().describe('Instead of issuer, for a server without discovery'),
  revocationEndpoint: secureUrl().exactOptional().describe('With tokenEndpoint: where tokens are revoked (RFC 7009)'),
  clientId: z.string().min(1),
  clientSecret: secret(around).exactOptional().describe('For basic and post'),
  clientKey: secret(around)
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
  timeout: timeout(),
  maxLifetime: duration({ least: '1s', most: '365d' })
    .exactOptional()
    .describe('Tokens that live longer are refused and taken back; default: no bound'),
});

type OauthKeys = z.output<z.ZodObject<ReturnType<typeof oauthKeys>>>;

function checkOauth(keys: OauthKeys, context: z.RefinementCtx): void {
  const { issuer, tokenEndpoint, revocationEndpoint, revoke, clientAuth, clientSecret, clientKey, clientKeyId } = keys;
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if ((issuer === undefined) === (tokenEndpoint === undefined))
    refuse('issuer', 'Give either issuer or tokenEndpoint.');
  else if (issuer !== undefined && revocationEndpoint !== undefined)
    refuse('revocationEndpoint', 'With issuer, the endpoint is discovered.');
  else if (tokenEndpoint !== undefined && revocationEndpoint === undefined && revoke)
    refuse('revoke', 'Give revocationEndpoint, or write revoke: false.');
  const [needsSecret, needsKey] = [clientAuth === 'basic' || clientAuth === 'post', clientAuth === 'private_key_jwt'];
  if (needsSecret !== (clientSecret !== undefined))
    refuse('clientSecret', needsSecret ? 'This key is required.' : `Not with clientAuth: ${clientAuth}.`);
  if (needsKey !== (clientKey !== undefined))
    refuse('clientKey', needsKey ? 'This key is required.' : 'Only with clientAuth: private_key_jwt.');
  if (!needsKey && clientKeyId !== undefined) refuse('clientKeyId', 'Only with clientAuth: private_key_jwt.');
}

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

/**
 * A token that speaks for somebody at an issuer: the agent’s own, one signed by the gateway (needs `signing`), or a
 * mounted one.
 */
export const tokenFrom = (around: ConfigContext) =>
  z.union([z.literal('agent'), gatewayToken(), secret(around)], { error: AN_ASSERTION });

const keyAssertion = (around: ConfigContext) =>
  z.strictObject({
    key: secret(around).describe('A private key in PEM that the issuer has on file'),
    keyId: z.string().min(1).exactOptional(),
    issuer: z.string().min(1).describe('Its iss, often the client id or the service account'),
    subject: z.string().min(1).describe('Its sub'),
    audience: z.string().min(1).exactOptional().describe('Its aud; default: the issuer that it is sent to'),
  });

const tokenType = () => z.string().min(1).exactOptional();

export const clientCredentials = (around: ConfigContext) =>
  z.strictObject({ type: z.literal('oauth-client-credentials'), ...oauthKeys(around) }).superRefine(checkOauth);

export const tokenExchange = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('token-exchange'),
      ...oauthKeys(around),
      subjectToken: tokenFrom(around).default('agent').describe('What is exchanged; default: the agent’s own token'),
      subjectTokenType: tokenType().describe('RFC 8693 subject_token_type; default: by what the token is'),
      actorToken: tokenFrom(around).exactOptional().describe('Who acts, where the issuer wants to know'),
      actorTokenType: tokenType(),
      requestedTokenType: z
        .string()
        .min(1)
        .default('urn:ietf:params:oauth:token-type:access_token')
        .describe('RFC 8693 requested_token_type; default an access token'),
    })
    .superRefine(checkOauth);

export const jwtBearer = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('jwt-bearer'),
      ...oauthKeys(around),
      assertion: z
        .union([z.literal('agent'), gatewayToken(), secret(around), keyAssertion(around)], { error: AN_ASSERTION })
        .describe('The grant (RFC 7523 section 2.1)'),
    })
    .superRefine(checkOauth);
