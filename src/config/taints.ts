// The section about marks: which kinds of data mark those who read them, and for how long.

import { z } from 'zod';
import { duration } from '../settings/units.ts';

export const taint = () =>
  z
    .strictObject({
      for: duration({ least: '1s', most: '365d' })
        .prefault('24h')
        .describe('How long a mark lasts after the last reading; default 24h'),
    })
    .transform(({ for: forMs }) => ({ forMs }));
