// Signed webhooks: a CloudEvents 1.0 body in structured mode (JSON), signed by Standard Webhooks 1.0 (symmetric, v1).
// The id and the body of a notification are the same at every attempt; the timestamp and with it the signature are the
// attempt's own.

import { createHmac } from 'node:crypto';
import type { Clock } from '../../domain/clock.ts';
import type { SecretSource } from '../../domain/secret.ts';
import { type Channel, deliveryOf, type Message, type Post } from './channel.ts';

export interface WebhookOptions {
  readonly url: string;
  /** `whsec_` and base64. */
  readonly secret: SecretSource;
  readonly allowPrivateAddresses: boolean;
}

export function createWebhook(
  { url, secret, allowPrivateAddresses }: WebhookOptions,
  post: Post,
  clock: Clock,
): Channel {
  return async (message) => {
    const { id } = message.notification;
    const timestamp = String(Math.floor(clock.now() / 1_000));
    const body = JSON.stringify(eventOf(message));
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${sign(secret, `${id}.${timestamp}.${body}`)}`,
    };
    return deliveryOf(await post(url, { headers, body, allowPrivateAddresses }));
  };
}

/** CloudEvents 1.0 section 3.1. What is in `data` is all that is told. */
function eventOf({ notification, link }: Message) {
  const { id, kind, subject, code, tier, count, createdAt } = notification;
  return {
    specversion: '1.0',
    id,
    source: new URL(link).origin,
    type: `io.countersign.${kind}`,
    subject,
    time: new Date(createdAt).toISOString(),
    datacontenttype: 'application/json',
    data: { link, code, tier, ...(count !== undefined && { count }) },
  };
}

/** Standard Webhooks, "Signature scheme": HMAC-SHA256 over `id.timestamp.body`, in base64. */
function sign(secret: SecretSource, content: string): string {
  const key = Buffer.from(
    secret
      .read()
      .reveal()
      .replace(/^whsec_/, ''),
    'base64',
  );
  return createHmac('sha256', key).update(content).digest('base64');
}
