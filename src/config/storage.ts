// The sections about what is kept on disk: the store of holds and tasks, and the audit log.

import { z } from 'zod';
import { type ConfigContext, path } from '../settings/paths-and-secrets.ts';
import { laterType } from './unsupported.ts';

export const store = (context: ConfigContext) =>
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('sqlite'),
      path: path(context).describe('The database file; it is made when missing'),
    }),
    laterType('postgres'),
  ]);

export const audit = (context: ConfigContext) =>
  z.strictObject({
    path: path(context).describe('Folder of the audit log; it is made when missing'),
    durability: z
      .enum(['held', 'all'])
      .default('held')
      .describe(
        'Which calls wait until their record is on disk: held ones and those with a credential of their own, ' +
          'or all; default held',
      ),
  });
