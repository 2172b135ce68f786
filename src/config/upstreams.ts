// The sections about what is protected: upstreams, and the credentials that open them.

import { z } from 'zod';
import { httpUrl, isLoopback, isSpecialLiteral, secureUrl } from './addresses.ts';
import { pemFile, type Surroundings, secret } from './files.ts';
import { awsSts, githubApp, kubernetes, vault } from './issued-credentials.ts';
import { laterType } from './later.ts';
import { duration } from './units.ts';

const FIELD_NAME = /^[a-z0-9!#$&'*+.^`|~-]+$/;
const FRAMING = /^(host|content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|expect|proxy-.*|countersign-.*)$/;

const fieldName = () =>
  z
    .string()
    .regex(/^[^_]*$/, { error: 'A field name has no underscore: servers take it for a hyphen.', abort: true })
    .transform((name) => name.toLowerCase())
    .refine((name) => FIELD_NAME.test(name), { error: 'This is not the name of a header field.', abort: true })
    .refine((name) => !FRAMING.test(name), 'This field frames or routes the message, or is the gateway’s own.');

/** A field that an approval may bind and a held call may forward: never one that identifies the agent. */
const boundField = () => fieldName().refine((name) => !/^(authorization|cookie)$/.test(name), 'What identifies the agent never travels upstream.');

const timeouts = () =>
  z
    .strictObject({
      connect: duration({ least: '100ms', most: '1m' }).prefault('5s').describe('Until the connection stands, TLS included; default 5s'),
      headers: duration({ least: '1s', most: '1h' }).prefault('60s').describe('Until the answer begins; default 60s'),
      idle: duration({ least: '1s', most: '1d' }).prefault('5m').describe('Between two pieces of the answer; default 5m'),
    })
    .prefault({})
    .transform(({ connect, headers, idle }) => ({ connectMs: connect, headersMs: headers, idleMs: idle }));

export const upstream = (around: Surroundings) =>
  z
    .strictObject({
      url: httpUrl().describe('Where calls go; its path is put before theirs'),
      protocol: z.enum(['http', 'mcp']).default('http').describe('How it speaks; default http'),
      credential: z.string().exactOptional().describe('A name under `credentials`'),
      agentToken: fieldName().exactOptional().describe('Header field that carries the agent’s token; default authorization'),
      websocket: z.boolean().default(false).describe('Whether WebSocket upgrades pass; default false'),
      boundHeaders: z.array(boundField()).default([]).describe('Fields of the agent’s that an approval binds; a held call forwards no others'),
      traceContext: z.boolean().default(false).describe('Whether the gateway’s traceparent is sent along; default false'),
      mcpLifecycle: z.boolean().default(true).describe('MCP: whether the built-in rules let sessions be opened and tools be listed; default true'),
      allowPlaintext: z.boolean().default(false).describe('Lets plain http leave this machine; default false'),
      allowPrivateAddresses: z.boolean().default(false).describe('Lets the name resolve to private and link-local addresses; default false'),
      tls: z.strictObject({ ca: pemFile(around).exactOptional().describe('PEM file of the authorities to trust instead of the system’s') }).exactOptional(),
      timeouts: timeouts(),
    })
    .superRefine(checkAddress);

interface AddressKeys {
  readonly url: string;
  readonly allowPlaintext: boolean;
  readonly allowPrivateAddresses: boolean;
}

function checkAddress({ url: text, allowPlaintext, allowPrivateAddresses }: AddressKeys, context: z.RefinementCtx): void {
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['url'], message });
  if (!URL.canParse(text)) return;
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url) && !allowPlaintext) {
    refuse('Plain http would carry calls and credentials in the open: write https, or set allowPlaintext: true.');
  }
  if (isSpecialLiteral(url) && !allowPrivateAddresses) refuse('This is an unspecified or link-local address; it needs allowPrivateAddresses: true.');
}

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
    githubApp(around),
    awsSts(around),
    laterType('gcp-wif'),
    laterType('azure-federated'),
    vault(around),
    kubernetes(around),
    laterType('signed-jwt'),
    laterType('spiffe-jwt'),
  ]);
