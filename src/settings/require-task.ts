// `requireTask`, as an upstream, a resource and a tier have it.

import { z } from 'zod';

export const requireTask = (whose: string) =>
  z
    .union([z.boolean(), z.literal('attested')], { error: 'Write true, false or attested.' })
    .exactOptional()
    .describe(`Whether ${whose} need a task (true), and one that a task token vouches for (attested); default false`);
