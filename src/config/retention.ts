// The section about how long ended holds and tasks are kept. It never touches the audit log.

import { z } from 'zod';
import { duration } from '../settings/units.ts';

const LONGEST = { least: '1s', most: '3650d' };

export const retention = () =>
  z
    .strictObject({
      holds: duration(LONGEST)
        .prefault('90d')
        .describe(
          'Holds and their votes, after they ended; passed calls, lifted suspensions and dead notifications ' +
            'too; default 90d',
        ),
      bodies: duration(LONGEST)
        .prefault('30d')
        .describe('Bodies of held calls that were sent, after they ended (of others they go at once); default 30d'),
      tasks: duration(LONGEST)
        .prefault('90d')
        .describe('Tasks and their calls, after their end or their last use; default 90d'),
    })
    .transform(({ holds, bodies, tasks }) => ({ holdsMs: holds, bodiesMs: bodies, tasksMs: tasks }));
