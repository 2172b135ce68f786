// The section about channels: how people are told that something waits for them. Each type of channel has a file of its
// own with its settings (approvals/notify/channel-types.ts).

import { z } from 'zod';
import { channelSettings } from '../approvals/notify/channel-types.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';

const channelName = () =>
  z.string().regex(/^[a-z0-9-]{1,64}$/, { error: 'Use up to 64 lower-case letters, digits and hyphens.' });

export const notifications = (context: ConfigContext) =>
  z
    .strictObject({
      channels: z
        .record(channelName(), channelSettings(context))
        .default({})
        .describe('Named by `notify` of tiers and rules'),
    })
    .prefault({});
