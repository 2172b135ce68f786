// `requireTask`, as an upstream, a resource and a tier have it.

import { z } from 'zod';

/** `whose` are the calls that it is about. */
export const requireTask = (whose: string) =>
  z
    .union([z.literal(true), z.literal('attested')], { error: 'Write `true` or `attested`.' })
    .exactOptional()
    .describe(`Whether ${whose} need a task: true for any, attested for one that a task token vouches for`);
