// The section about what opens upstreams: one schema per type of credential.

import { z } from 'zod';
import { secureUrl } from './addresses.ts';
import { fieldName } from './field-name.ts';
import { type Surroundings, secret } from './files.ts';
import { laterType } from './later.ts';

const staticCredential = (around: Surroundings) =>
  z.discriminatedUnion('in', [
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('header'),
      name: fieldName().default('authorization').describe('Header field; default authorization'),
      format: z
        .string()
        .regex(/^[\x20-\x7e]*\{secret\}[\x20-\x7e]*$/, { error: 'The format holds {secret}, and only printable ASCII around it.' })
        .exactOptional()
        .describe('Its value; default Bearer {secret} for authorization, {secret} for other fields'),
      secret: secret(around),
    }),
    z.strictObject({ type: z.literal('static'), in: z.literal('query'), name: z.string().min(1).describe('Query parameter'), secret: secret(around) }),
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('basic'),
      username: z.string().regex(/^[^:\x00-\x1f\x7f]*$/, { error: 'A user name has neither colon nor control characters (RFC 7617 section 2).' }),
      secret: secret(around),
    }),
  ]);

const oauthKeys = (around: Surroundings) => ({
  issuer: secureUrl().exactOptional().describe('The authorization server; its endpoints are discovered (RFC 8414)'),
  tokenEndpoint: secureUrl().exactOptional().describe('Instead of issuer, for a server without discovery'),
  revocationEndpoint: secureUrl().exactOptional().describe('With tokenEndpoint: where tokens are revoked (RFC 7009)'),
  clientId: z.string().min(1),
  clientSecret: secret(around),
  clientAuth: z.enum(['basic', 'post']).default('basic').describe('How the client proves itself at the token endpoint; default basic'),
  scope: z.string().min(1).exactOptional().describe('Scopes to ask for, separated by spaces; a rule’s credential.scope narrows them'),
  resource: z.string().min(1).exactOptional().describe('RFC 8707 resource'),
  audience: z.string().min(1).exactOptional(),
  revoke: z.boolean().default(true).describe('Whether a token is revoked when its call is over; default true'),
});

interface OauthEndpoints {
  readonly issuer?: string;
  readonly tokenEndpoint?: string;
  readonly revocationEndpoint?: string;
  readonly revoke: boolean;
}

function checkEndpoints({ issuer, tokenEndpoint, revocationEndpoint, revoke }: OauthEndpoints, context: z.RefinementCtx): void {
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  if ((issuer === undefined) === (tokenEndpoint === undefined)) refuse('issuer', 'Give either issuer or tokenEndpoint.');
  else if (issuer !== undefined && revocationEndpoint !== undefined) refuse('revocationEndpoint', 'With issuer, the endpoint is discovered.');
  else if (tokenEndpoint !== undefined && revocationEndpoint === undefined && revoke) refuse('revoke', 'Give revocationEndpoint, or write revoke: false.');
}

const clientCredentials = (around: Surroundings) =>
  z.strictObject({ type: z.literal('oauth-client-credentials'), ...oauthKeys(around) }).superRefine(checkEndpoints);

const tokenExchange = (around: Surroundings) =>
  z
    .strictObject({
      type: z.literal('token-exchange'),
      ...oauthKeys(around),
      requestedTokenType: z
        .string()
        .min(1)
        .default('urn:ietf:params:oauth:token-type:access_token')
        .describe('RFC 8693 requested_token_type; default an access token'),
    })
    .superRefine(checkEndpoints);

export const credential = (around: Surroundings) =>
  z.discriminatedUnion('type', [
    staticCredential(around),
    clientCredentials(around),
    tokenExchange(around),
    laterType('jwt-bearer'),
    laterType('github-app'),
    laterType('aws-sts'),
    laterType('gcp-wif'),
    laterType('azure-federated'),
    laterType('vault'),
    laterType('kubernetes'),
    laterType('signed-jwt'),
    laterType('spiffe-jwt'),
  ]);
