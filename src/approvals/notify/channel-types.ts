// Every type of notification channel. To add one: write its file, and name it in TYPES (docs/extending.md).

import { z } from 'zod';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';
import type { Channel, ChannelTools } from './channel.ts';
import { slack } from './slack.ts';
import { webhook } from './webhook.ts';

/** By what is written as `type`. */
const TYPES = { webhook, slack };

type Schema = ReturnType<(typeof TYPES)[keyof typeof TYPES]['settings']>;

/** The settings of one channel, whatever its type. */
export type ChannelSettings = z.output<Schema>;

/** The schema of an entry under `notifications.channels`. */
export const channelSettings = (context: ConfigContext) => {
  const schemas = Object.values(TYPES).map((type) => type.settings(context));
  return z.discriminatedUnion('type', schemas as [Schema, ...Schema[]]);
};

/** Makes the channel that the settings describe. */
export function createChannel(settings: ChannelSettings, tools: ChannelTools): Channel {
  // `settings` is of the type that its own `type` names: its schema made it.
  return TYPES[settings.type].create(settings as never, tools);
}
