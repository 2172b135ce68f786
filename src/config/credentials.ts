// The section about what opens upstreams: one schema per type of credential.

import { z } from 'zod';
import { fieldName } from '../settings/field-name.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';
import { azureFederated, gcpWif, ownModule, signedJwt, spiffeJwt } from './credentials-federated.ts';
import { awsSts, githubApp, kubernetes, vault } from './credentials-issued.ts';
import { clientCredentials, jwtBearer, tokenExchange } from './credentials-oauth.ts';

const staticCredential = (around: ConfigContext) =>
  z.discriminatedUnion('in', [
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('header'),
      name: fieldName().default('authorization').describe('Header field; default authorization'),
      format: z
        .string()
        .regex(/^[\x20-\x7e]*\{secret\}[\x20-\x7e]*$/, {
          error: 'The format holds {secret}, and only printable ASCII around it.',
        })
        .exactOptional()
        .describe('Its value; default Bearer {secret} for authorization, {secret} for other fields'),
      secret: secret(around),
    }),
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('query'),
      name: z.string().min(1).describe('Query parameter'),
      secret: secret(around),
    }),
    z.strictObject({
      type: z.literal('static'),
      in: z.literal('basic'),
      username: z.string().regex(/^[^:\x00-\x1f\x7f]*$/, {
        error: 'A user name has neither colon nor control characters (RFC 7617 section 2).',
      }),
      secret: secret(around),
    }),
  ]);

export const credential = (around: ConfigContext) =>
  z.discriminatedUnion('type', [
    staticCredential(around),
    clientCredentials(around),
    tokenExchange(around),
    jwtBearer(around),
    githubApp(around),
    awsSts(around),
    gcpWif(around),
    azureFederated(around),
    vault(around),
    kubernetes(around),
    signedJwt(),
    spiffeJwt(),
    ownModule(around),
  ]);
