// The section `meters`: what is counted over calls. Only the shape is checked here; policy/ checks paths and expressions.

import { z } from 'zod';
import { METER_SCOPES } from '../domain/meter.ts';
import { duration } from '../settings/units.ts';
import { match } from './rules.ts';

export const meterName = () =>
  z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, {
    error: 'Write a name that conditions can use: a letter, then up to 63 letters, digits and underscores.',
  });

const expression = () => z.string().min(1);

export const meter = () =>
  z
    .strictObject({
      match: match().describe('What calls are counted; matched as in a hold rule'),
      when: expression()
        .exactOptional()
        .describe('CEL over agent, request, tool and args; one that fails to evaluate counts as true'),
      value: expression()
        .exactOptional()
        .describe('CEL over the same: the amount that a call adds, 0 or more; default 1'),
      distinct: expression()
        .exactOptional()
        .describe('CEL over the same: count how many different values there are; not beside value'),
      per: z
        .array(z.enum(METER_SCOPES))
        .min(1)
        .describe('For whom it counts: agent, person, root (of the task), all; the largest count is the meter'),
      window: duration({ least: '1s', most: '90d' }).describe('How long a call counts after it was sent'),
      durable: z
        .literal('strict')
        .exactOptional()
        .describe('strict: the count is on disk before the call is sent; default: within a second'),
    })
    .transform(({ window, ...rest }) => ({ ...rest, windowMs: window }));
