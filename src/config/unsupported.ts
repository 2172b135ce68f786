// Types that the contract names and this version does not build. They are refused with a sentence of their own, so that
// nothing is silently ignored; building one means replacing its line.

import { z } from 'zod';

const NOT_YET = 'not supported in this version';

/** A member of a union over `type` whose choice is a fault. */
export const laterType = <T extends string>(type: T) =>
  z
    .looseObject({ type: z.literal(type) })
    .refine(() => false, { error: `The type ${type} is ${NOT_YET}.`, path: ['type'] })
    .transform(() => z.NEVER)
    .describe(`Reserved: ${NOT_YET}`);
