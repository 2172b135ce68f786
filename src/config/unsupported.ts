// Types that the contract names and this version does not build. Each is refused with a sentence of its own, so that
// nothing is silently ignored. Whoever builds one replaces its line.

import { z } from 'zod';

const NOT_YET = 'not supported in this version';
const reserved = new WeakSet<object>();

/** A member of a union over `type`; choosing it is a fault. */
export function laterType<T extends string>(type: T) {
  const schema = z
    .looseObject({ type: z.literal(type) })
    .refine(() => false, { error: `Write another type: \`${type}\` is ${NOT_YET}.`, path: ['type'] })
    .transform(() => z.NEVER)
    .describe(`Reserved: ${NOT_YET}`);
  reserved.add(schema);
  return schema;
}

/** Whether a member of a union is such a type: nobody is told to write it. */
export const isReserved = (schema: object): boolean => reserved.has(schema);
