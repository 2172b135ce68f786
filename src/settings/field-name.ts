// Names of header fields, wherever the configuration gives one.

import { z } from 'zod';

const FIELD_NAME = /^[a-z0-9!#$&'*+.^`|~-]+$/;
const FRAMING =
  /^(host|content-length|transfer-encoding|connection|upgrade|te|trailer|keep-alive|expect|proxy-.*|countersign-.*)$/;

/** The name of a header field, in lower case: never one that frames or routes the message. */
export const fieldName = () =>
  z
    .string()
    .regex(/^[^_]*$/, {
      error: 'Write the field name without an underscore: servers take it for a hyphen.',
      abort: true,
    })
    .transform((name) => name.toLowerCase())
    .refine((name) => FIELD_NAME.test(name), {
      error: 'Write the name of a header field: letters, digits and hyphens.',
      abort: true,
    })
    .refine(
      (name) => !FRAMING.test(name),
      'Choose another field: this one frames or routes the message, or is the gateway’s own.',
    );
