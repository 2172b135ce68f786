// Settings that several types of issuer have in common.

import { z } from 'zod';
import { duration } from '../settings/units.ts';
import { DEFAULT_ALGORITHMS, SIGNATURE_ALGORITHMS } from './keys/algorithms.ts';

/** The name of an entry under `identity.issuers`. */
export const issuerName = (meaning: string) =>
  z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'Use lower-case letters, digits and hyphens.' })
    .describe(meaning);

export const audience = () => z.array(z.string().min(1)).min(1);

export const algorithms = () =>
  z
    .array(z.enum(SIGNATURE_ALGORITHMS))
    .min(1)
    .default([...DEFAULT_ALGORITHMS])
    .describe(`Accepted signature algorithms; default ${DEFAULT_ALGORITHMS.join(', ')}`);

export const maxLifetime = (standard: '1h' | '24h') =>
  duration({ least: '1m', most: '7d' })
    .prefault(standard)
    .describe(`Longest accepted lifetime of a token, exp − iat; default ${standard}`);

export const personClaim = () =>
  z
    .string()
    .min(1)
    .max(200)
    .exactOptional()
    .describe(
      'Claim, by name or path, that says which person somebody is. People are compared by it beside subject and id; ' +
        'where it is missing, the person is refused. `email` counts only beside `email_verified: true`',
    );

export const requireProof = () =>
  z
    .boolean()
    .default(false)
    .describe(
      'Take only tokens bound to a key: by DPoP (RFC 9449) or to the connection’s certificate (RFC 8705); ' +
        'default false',
    );
