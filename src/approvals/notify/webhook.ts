// Signed webhooks: a CloudEvents 1.0 body in structured mode (JSON), signed by Standard Webhooks 1.0 (symmetric, v1).
// Every attempt sends the same id and body; the timestamp is the attempt's own, and with it the signature. Refuses a
// signing secret that is not random bytes of the standard's length.

import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { SecretSource } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { allowPrivateAddresses, type ChannelType, deliveryOf, type Message } from './channel.ts';

const settings = (context: ConfigContext) =>
  z.strictObject({
    type: z.literal('webhook'),
    url: secureUrl().describe('Where the CloudEvents are sent, signed by Standard Webhooks'),
    secret: signingSecret(context).describe('Signs what is sent'),
    allowPrivateAddresses: allowPrivateAddresses(),
  });

export const webhook: ChannelType<ReturnType<typeof settings>> = {
  settings,
  create: ({ url, secret: key, allowPrivateAddresses: isPrivate }, { post, clock }) => {
    return async (message) => {
      const { id } = message.notification;
      const timestamp = String(Math.floor(clock.now() / 1_000));
      const body = JSON.stringify(eventOf(message));
      const headers = {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${sign(key, `${id}.${timestamp}.${body}`)}`,
      };
      return deliveryOf(await post(url, { headers, body, allowPrivateAddresses: isPrivate }));
    };
  },
};

/** Standard Webhooks 1.0: `whsec_` and 24 to 64 bytes in base64. */
const SIGNING_SECRET = /^whsec_[A-Za-z0-9+/]+={0,2}$/;

function signingSecret(context: ConfigContext) {
  return secret(context).superRefine((source, issues) => {
    const text = readable(source);
    if (text === undefined) return;
    const bytes = SIGNING_SECRET.test(text) ? Buffer.from(text.slice('whsec_'.length), 'base64').byteLength : 0;
    if (bytes < 24 || bytes > 64)
      issues.addIssue({
        code: 'custom',
        message: 'Use a signing secret of `whsec_` and 24 to 64 random bytes in base64.',
      });
  });
}

/** The secret, or undefined where it is missing: that is already a fault of its own. */
function readable(source: SecretSource): string | undefined {
  try {
    return source.read().reveal();
  } catch {
    return undefined;
  }
}

/** CloudEvents 1.0 section 3.1. The receiver learns what stands in `data`, and nothing else about the call. */
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
