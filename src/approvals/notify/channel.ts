// What a channel is to the worker: one attempt to deliver one notification, and the ways in which it can end.

import type { Notification } from '../../domain/notification.ts';

/** How an attempt ended. `error` is a sentence of the gateway's own: nothing that a receiver answered is kept. */
export type Delivery =
  | { readonly kind: 'delivered' }
  /** Worth another attempt; not before `afterMs` where the receiver said so. */
  | { readonly kind: 'failed'; readonly error: string; readonly afterMs?: number }
  /** No attempt will ever succeed. */
  | { readonly kind: 'hopeless'; readonly error: string };

/** A notification with the link that it is about. */
export interface Message {
  readonly notification: Notification;
  /** The page where the person signs in and looks; the link itself carries no authority. */
  readonly link: string;
}

export type Channel = (message: Message) => Promise<Delivery>;

/** An answer, as far as it is looked at. */
export interface ChannelAnswer {
  readonly status: number;
  /** `Retry-After` in ms, where it is a number of seconds. */
  readonly retryAfterMs?: number;
  /** At most 64 KiB of the body, as text. */
  readonly body: string;
}

/**
 * One HTTP POST to a guarded address, without redirects. Rejects with an error whose `code` says why. From
 * upstream/post.ts.
 */
export type Post = (
  url: string,
  request: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly allowPrivateAddresses: boolean;
  },
) => Promise<ChannelAnswer>;

/**
 * The ending that an HTTP status means. 410 says that the receiver is gone for good (Standard Webhooks); everything
 * else may pass.
 */
export function deliveryOf({ status, retryAfterMs }: ChannelAnswer): Delivery {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const error = `The receiver answered ${status}.`;
  if (status === 410) return { kind: 'hopeless', error };
  return { kind: 'failed', error, ...(retryAfterMs !== undefined && { afterMs: retryAfterMs }) };
}
