// The gateway as an issuer of tokens: its public URL, and its keys.

import { z } from 'zod';
import { secureUrl } from '../settings/addresses.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';

export const signing = (context: ConfigContext) =>
  z
    .strictObject({
      issuer: secureUrl()
        .refine(
          (text) => text.endsWith('/countersign'),
          'Write the public URL of the agents’ listener, followed by /countersign: verifiers find the keys there.',
        )
        .describe('The `iss` of what the gateway signs; discovery and keys are served there'),
      keys: z
        .tuple([secret(context)], secret(context))
        .exactOptional()
        .describe(
          'Private keys in PEM: the first signs, all are published. Default: made, rotated and kept sealed ' +
            'beside the store',
        ),
      rotateEvery: duration({ least: '2h', most: '365d' })
        .prefault('30d')
        .describe('Made keys: how old a key becomes before the next; default 30d'),
      overlap: duration({ least: '1h', most: '30d' })
        .prefault('1d')
        .describe('Made keys: published this long before they sign and after; default 1d'),
    })
    .superRefine(({ rotateEvery, overlap }, issues) => {
      if (rotateEvery < 2 * overlap)
        issues.addIssue({ code: 'custom', path: ['rotateEvery'], message: 'Write at least twice the `overlap`.' });
    })
    .transform(({ issuer, keys, rotateEvery, overlap }) => ({
      issuer,
      ...(keys && { keys }),
      rotateEveryMs: rotateEvery,
      overlapMs: overlap,
    }));
