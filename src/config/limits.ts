// The section about how much is taken and kept: sizes, times, and what one agent may use.

import { z } from 'zod';
import { duration, size } from '../settings/units.ts';

export const limits = () =>
  z
    .strictObject({
      heldBody: size({ least: '1KiB', most: '64MiB' })
        .prefault('1MiB')
        .describe('Largest body of a call that may be held; default 1MiB'),
      inspectedBody: size({ least: '1KiB', most: '64MiB' })
        .prefault('1MiB')
        .describe('Largest JSON body that conditions read; default 1MiB'),
      header: size({ least: '1KiB', most: '256KiB' })
        .prefault('16KiB')
        .describe('Largest header section; default 16KiB'),
      wait: duration({ least: '0s', most: '1h' })
        .prefault('50s')
        .describe('Longest time that a held call waits on its connection; default 50s'),
      callsPerAgent: z
        .int()
        .min(1)
        .max(1_000_000)
        .exactOptional()
        .describe(
          'Most calls of one agent that are under way at a time, those that wait for people among them; ' +
            'default: 1000 or less, by the open files',
        ),
      pendingPerAgent: z
        .int()
        .min(1)
        .max(10_000)
        .default(10)
        .describe('Most holds of one agent that wait at a time; default 10'),
      holdsPerHourPerAgent: z
        .int()
        .min(1)
        .max(10_000_000)
        .exactOptional()
        .describe(
          'Most holds that one agent opens within an hour, whatever became of them; default 60 times ' +
            'pendingPerAgent, and at least 600',
        ),
      openTasksPerAgent: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(1_000)
        .describe('Most tasks of one agent that have not ended; default 1000'),
      storedPerAgent: size({ least: '64KiB', most: '1024GiB' })
        .prefault('256MiB')
        .describe(
          'Most that the store keeps of one agent: holds with their bodies, tasks and their calls; default 256MiB',
        ),
      drain: duration({ least: '0s', most: '10m' })
        .prefault('10s')
        .describe('How long running calls may take to end at shutdown; default 10s'),
    })
    .transform(({ heldBody, inspectedBody, header, wait, storedPerAgent, drain, ...counts }) => ({
      ...counts,
      heldBodyBytes: heldBody,
      inspectedBodyBytes: inspectedBody,
      headerBytes: header,
      waitMs: wait,
      holdsPerHourPerAgent: counts.holdsPerHourPerAgent ?? Math.max(600, 60 * counts.pendingPerAgent),
      storedBytesPerAgent: storedPerAgent,
      drainMs: drain,
    }));
