// The types of credential that are made by systems with an interface of their own: GitHub, AWS STS, Vault and OpenBao,
// Kubernetes. The schemas come out as the options of credentials/; what a provider must be told to ask for has no
// default.

import { z } from 'zod';
import { secureUrl } from '../settings/addresses.ts';
import { type ConfigContext, pemFile, secret } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';

const timeout = () =>
  duration({ least: '100ms', most: '1m' }).prefault('5s').describe('Bound on each request to the issuer; default 5s');
const headerName = () =>
  z
    .string()
    .regex(/^[A-Za-z0-9!#$&'*+.^`|~-]+$/, { error: 'This is not the name of a header field.', abort: true })
    .transform((name) => name.toLowerCase())
    .refine(
      (name) =>
        !/^(host|content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|expect|proxy-.*|countersign-.*)$/.test(
          name,
        ),
      {
        error: 'This field frames or routes the message, or is the gateway’s own.',
      },
    );
const authority = (around: ConfigContext) =>
  pemFile(around)
    .exactOptional()
    .describe('PEM file of the authorities to trust for this issuer instead of the system’s');

export const githubApp = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('github-app'),
      appId: z
        .union([z.int().min(1), z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)])
        .describe('The App’s id or client id'),
      installationId: z.int().min(1),
      privateKey: secret(around).describe('PEM of the App’s private key'),
      url: secureUrl()
        .default('https://api.github.com')
        .describe('REST API; for GitHub Enterprise Server https://HOST/api/v3'),
      ca: authority(around),
      repositories: z
        .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
        .exactOptional()
        .describe('The most repositories a token may be for; a rule’s credential.repositories narrows them'),
      permissions: z
        .record(z.string().regex(/^[a-z_]+$/), z.enum(['read', 'write', 'admin']))
        .exactOptional()
        .describe('The most permissions a token may have; a rule’s credential.permissions narrows them'),
      share: z.boolean().default(false).describe('Whether calls that need no approval share a token; default false'),
      timeout: timeout(),
    })
    .transform(({ timeout: timeoutMs, ...rest }) => ({ ...rest, timeoutMs }));

export const awsSts = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('aws-sts'),
      roleArn: z
        .string()
        .regex(/^arn:[a-z0-9-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/, { error: 'Write arn:aws:iam::ACCOUNT:role/NAME.' }),
      webIdentityToken: secret(around).describe('The gateway’s own OIDC token, which the role’s trust policy accepts'),
      region: z.string().regex(/^[a-z0-9-]{1,40}$/),
      service: z
        .string()
        .regex(/^[a-z0-9-]{1,60}$/)
        .describe('Signing name of the upstream’s service, like s3 or dynamodb'),
      endpoint: secureUrl().exactOptional().describe('Of STS; default https://sts.REGION.amazonaws.com'),
      ca: authority(around),
      duration: duration({ least: '15m', most: '12h' })
        .prefault('15m')
        .describe('How long a session lives; default 15m, which is the least'),
      actions: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Session policy where the rule says nothing: actions'),
      resources: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Session policy where the rule says nothing: resources'),
      unsignedPayload: z
        .boolean()
        .default(false)
        .describe('Lets streamed bodies pass unsigned, which only S3 accepts; default false'),
      timeout: timeout(),
    })
    .transform(({ timeout: timeoutMs, duration: durationMs, ...rest }) => ({ ...rest, timeoutMs, durationMs }));

const vaultInjection = () =>
  z.discriminatedUnion('in', [
    z.strictObject({
      in: z.literal('header'),
      name: headerName().default('authorization').describe('Header field; default authorization'),
      format: z
        .string()
        .regex(/^[\x20-\x7e]*\{secret\}[\x20-\x7e]*$/, {
          error: 'The format holds {secret}, and only printable ASCII around it.',
        })
        .default('Bearer {secret}')
        .describe('Its value; default Bearer {secret}'),
      field: z.string().min(1).describe('Field of the secret'),
    }),
    z.strictObject({ in: z.literal('query'), name: z.string().min(1), field: z.string().min(1) }),
    z.strictObject({
      in: z.literal('basic'),
      usernameField: z.string().min(1).default('username'),
      passwordField: z.string().min(1).default('password'),
    }),
  ]);

const vaultPath = () =>
  z.string().regex(/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[A-Za-z0-9._{}-]+(?:\/[A-Za-z0-9._{}-]+)*$/, {
    error: 'Write a path without / at its ends.',
  });

export const vault = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('vault'),
      address: secureUrl().describe('URL of Vault or OpenBao'),
      namespace: z
        .string()
        .regex(/^[A-Za-z0-9._/-]+$/)
        .exactOptional(),
      ca: authority(around),
      login: z.strictObject({
        mount: vaultPath().default('jwt').describe('Where the JWT or Kubernetes auth method is mounted; default jwt'),
        role: z.string().min(1),
        token: secret(around).describe('The gateway’s own token'),
        policies: z
          .array(z.string().min(1))
          .exactOptional()
          .describe('The only policies that the login may have besides default'),
      }),
      path: vaultPath().describe('Path of the secret below /v1, like database/creds/{role}'),
      role: z.string().min(1).exactOptional().describe('For {role}, where the rule says nothing'),
      parameters: z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
        .exactOptional()
        .describe('Sent along; makes the request a POST'),
      longestLease: duration({ least: '1s', most: '1d' })
        .prefault('1h')
        .describe('Leases that live longer are refused; default 1h'),
      inject: vaultInjection(),
      timeout: timeout(),
    })
    .transform(({ timeout: timeoutMs, longestLease: longestLeaseMs, ...rest }) => ({
      ...rest,
      timeoutMs,
      longestLeaseMs,
    }));

export const kubernetes = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('kubernetes'),
      server: secureUrl()
        .default('https://kubernetes.default.svc')
        .describe('API server; default https://kubernetes.default.svc'),
      ca: authority(around),
      token: secret(around).describe('The gateway’s own token'),
      serviceAccounts: z
        .array(z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, { error: 'Write namespace/name.' }))
        .min(1)
        .describe('Service accounts that tokens may be made for, as namespace/name'),
      audiences: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Audiences that a token may be for; default the API server’s own'),
      duration: duration({ least: '10m', most: '1d' })
        .prefault('10m')
        .describe('How long a token lives; default 10m, which is the least'),
      share: z.boolean().default(true).describe('Whether calls that need no approval share a token; default true'),
      timeout: timeout(),
    })
    .transform(({ timeout: timeoutMs, duration: durationMs, ...rest }) => ({ ...rest, timeoutMs, durationMs }));
