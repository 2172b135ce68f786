// What a channel is to the worker: one attempt to deliver one notification, and the ways in which it can end. What a type
// of channel is to the configuration: its settings, and how a channel is made from them. Nothing that a receiver answers
// is believed: only its status, and for Slack one word, decide what happens next.

import { z } from 'zod';
import type { Clock } from '../../domain/clock.ts';
import type { Notice, NoticeKind, Notification } from '../../domain/notification.ts';
import type { ConfigContext } from '../../settings/paths-and-secrets.ts';

/** How an attempt ended. `error` is the gateway's own sentence: no text of the receiver is kept. */
export type Delivery =
  | { readonly kind: 'delivered' }
  /** Another attempt may succeed. `afterMs`: the receiver asked to be left alone for so long. */
  | { readonly kind: 'failed'; readonly error: string; readonly afterMs?: number }
  /** No attempt will ever succeed. */
  | { readonly kind: 'hopeless'; readonly error: string };

/** A notification, and the link that it shows. */
export interface Message {
  readonly notification: Notification;
  /** The page where the person signs in and looks; the link itself carries no authority. */
  readonly link: string;
}

export type Channel = (message: Message) => Promise<Delivery>;

/** The part of an answer that channels read. */
export interface ChannelAnswer {
  readonly status: number;
  /** `Retry-After` in ms, where it is a number of seconds. */
  readonly retryAfterMs?: number;
  /** At most 64 KiB of the body, as text. */
  readonly body: string;
}

/**
 * Sends one HTTP POST to a guarded address and follows no redirect (upstream/post.ts). Rejects with an error whose
 * `code` says why.
 */
export type Post = (
  url: string,
  request: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly allowPrivateAddresses: boolean;
  },
) => Promise<ChannelAnswer>;

/** What channels are made with. */
export interface ChannelTools {
  readonly post: Post;
  readonly clock: Clock;
}

/**
 * A type of channel, in one file: what may be written under `notifications.channels`, and how it delivers. The list of
 * all types is channel-types.ts.
 */
export interface ChannelType<Settings extends z.core.$ZodTypeDiscriminable> {
  /** The keys of the type with their meaning and default. `type` is a literal: it chooses among the types. */
  settings(context: ConfigContext): Settings;
  /** Makes the channel for one delivery. Reads no secret before it delivers, so that a rotated one counts at once. */
  create(settings: z.output<Settings>, tools: ChannelTools): Channel;
}

/** A key of every channel that the gateway reaches over the network. */
export const allowPrivateAddresses = () =>
  z
    .boolean()
    .default(false)
    .describe(
      'Whether its name may resolve to an address of a private network; never to link-local or metadata ' +
        'addresses. Default false',
    );

/**
 * What an HTTP status means for the notification. 410 says that the receiver is gone for good (Standard Webhooks). After
 * any other status the next attempt may succeed.
 */
export function deliveryOf({ status, retryAfterMs }: ChannelAnswer): Delivery {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const error = `The receiver answered ${status}.`;
  if (status === 410) return { kind: 'hopeless', error };
  return { kind: 'failed', error, ...(retryAfterMs !== undefined && { afterMs: retryAfterMs }) };
}

const HEADLINES: Readonly<Record<NoticeKind, string>> = {
  'hold.opened': 'A call waits for your decision',
  'hold.escalated': 'Nobody has decided yet: a call waits for your decision',
  'hold.outcome_unknown': 'It is not known whether an approved call took effect: somebody has to look',
  'call.passed': 'A call passed that is to be looked at',
  'call.denied': 'A call was denied that is to be looked at',
  'violations.reached': 'An agent was refused too often: somebody has to look',
};

const SEVERAL: Readonly<Partial<Record<NoticeKind, string>>> = {
  'call.passed': 'calls passed that are to be looked at',
  'call.denied': 'calls were denied that are to be looked at',
  'violations.reached': 'times an agent was refused too often: somebody has to look',
};

/** What happened, in one line for people. */
export const headlineOf = ({ kind, count }: Notice): string =>
  count === undefined ? HEADLINES[kind] : `${count} ${SEVERAL[kind]}`;
