// Credentials by which the gateway itself vouches, and those that clouds give for such a word; and the operator's own
// modules.

import { z } from 'zod';
import { secureUrl } from '../settings/addresses.ts';
import { fieldName } from '../settings/field-name.ts';
import { type ConfigContext, file, secret } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';
import { workloadApiAddress } from './bundles.ts';
import { timeout, tokenFrom } from './credentials-oauth.ts';

export const signedJwt = () =>
  z.strictObject({
    type: z.literal('signed-jwt'),
    audience: z
      .string()
      .min(1)
      .describe('Its aud; several are separated by spaces, and a rule’s credential.audience chooses'),
    scope: z.string().min(1).exactOptional().describe('Its scope; a rule’s credential.scope narrows it'),
    lifetime: duration({ least: '1m', most: '5m' }).prefault('2m').describe('It cannot be taken back; default 2m'),
    header: fieldName().default('authorization').describe('Header field; default authorization, with Bearer'),
  });

export const spiffeJwt = () =>
  z.strictObject({
    type: z.literal('spiffe-jwt'),
    workloadApi: workloadApiAddress().describe('Workload API of this host’s agent: unix:///path or tcp://ip:port'),
    audience: z
      .string()
      .min(1)
      .describe('Its aud; several are separated by spaces, and a rule’s credential.audience chooses'),
    header: fieldName().default('authorization').describe('Header field; default authorization, with Bearer'),
  });

export const azureFederated = (around: ConfigContext) =>
  z.strictObject({
    type: z.literal('azure-federated'),
    tenant: z.string().min(1).describe('Directory (tenant) id'),
    clientId: z.string().min(1).describe('Application (client) id'),
    scope: z
      .string()
      .regex(/^\S+\/\.default( \S+\/\.default)*$/, { error: 'Write <resource>/.default.' })
      .describe('For example https://management.azure.com/.default'),
    assertion: z
      .union([z.strictObject({ gateway: z.strictObject({ subject: z.string().min(1) }) }), secret(around)], {
        error: 'Write { gateway: { subject: TEXT } }, { file: PATH } or { env: NAME }.',
      })
      .describe('What the federated identity credential of the application trusts'),
    authority: secureUrl().exactOptional().describe('Default https://login.microsoftonline.com'),
    timeout: timeout(),
    maxLifetime: duration({ least: '1s', most: '365d' })
      .exactOptional()
      .describe('Tokens that live longer are refused; default: no bound'),
  });

export const gcpWif = (around: ConfigContext) =>
  z.strictObject({
    type: z.literal('gcp-wif'),
    audience: z.string().regex(/^\/\/iam\.googleapis\.com\/\S+$/, {
      error: 'Write //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER.',
    }),
    serviceAccount: z
      .string()
      .regex(/^[^@\s]+@[^@\s]+$/, { error: 'Write the service account’s e-mail address.' })
      .exactOptional()
      .describe('Whom to become; without it the federated token itself is used'),
    scope: z
      .string()
      .min(1)
      .default('https://www.googleapis.com/auth/cloud-platform')
      .describe('A rule’s credential.scope narrows it; default cloud-platform'),
    lifetime: duration({ least: '1m', most: '1h' })
      .prefault('5m')
      .describe('Of service account tokens, which cannot be taken back; default 5m'),
    subjectToken: tokenFrom(around).describe('What the workload identity pool trusts'),
    subjectTokenType: z.string().min(1).exactOptional(),
    stsEndpoint: secureUrl().exactOptional().describe('Default https://sts.googleapis.com/v1/token'),
    iamEndpoint: secureUrl().exactOptional().describe('Default https://iamcredentials.googleapis.com'),
    timeout: timeout(),
  });

export const ownModule = (around: ConfigContext) =>
  z.strictObject({
    type: z.literal('module'),
    path: file(around).describe(
      'A JavaScript or TypeScript module; its default export makes the provider and runs inside the gateway',
    ),
    options: z.record(z.string(), z.json()).default({}).describe('Handed to the module as it is; never secrets'),
    secrets: z
      .record(z.string().min(1), secret(around))
      .default({})
      .describe('Handed to the module as sources to read from'),
    timeout: duration({ least: '100ms', most: '1m' })
      .prefault('10s')
      .describe('Bound on each mint and revocation; default 10s'),
  });
