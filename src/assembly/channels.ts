// From a channel's configuration to what delivers through it; made at each delivery, so that a reload counts at once.

import type { Channel } from '../approvals/notify/channel.ts';
import { createSlack } from '../approvals/notify/slack.ts';
import { createWebhook } from '../approvals/notify/webhook.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../domain/clock.ts';
import { post } from '../upstream/post.ts';

export function channelOf({ notifications: { channels } }: Config, name: string, clock: Clock): Channel | undefined {
  const options = Object.hasOwn(channels, name) ? channels[name] : undefined;
  if (options === undefined) return undefined;
  return options.type === 'webhook' ? createWebhook(options, post, clock) : createSlack(options, post);
}
