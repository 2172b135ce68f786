// The section about channels through which people are told that something waits for them. Receivers are reached over
// https, or on this machine; a Slack webhook's URL is itself a secret. What a receiver answers is never believed, only
// counted.

import { z } from 'zod';
import { secureUrl } from '../settings/addresses.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';

/** Standard Webhooks 1.0: `whsec_` and 24 to 64 bytes in base64. */
const SIGNING_SECRET = /^whsec_[A-Za-z0-9+/]+={0,2}$/;

const signingSecret = (around: ConfigContext) =>
  secret(around).superRefine((source, context) => {
    const text = readable(source);
    if (text === undefined) return;
    const bytes = SIGNING_SECRET.test(text) ? Buffer.from(text.slice('whsec_'.length), 'base64').byteLength : 0;
    if (bytes < 24 || bytes > 64)
      context.addIssue({ code: 'custom', message: 'A signing secret is whsec_ and 24 to 64 random bytes in base64.' });
  });

const allowPrivateAddresses = () =>
  z
    .boolean()
    .default(false)
    .describe(
      'Whether its name may resolve to an address of a private network; never to link-local or metadata addresses. Default false',
    );

const webhook = (around: ConfigContext) =>
  z.strictObject({
    type: z.literal('webhook'),
    url: secureUrl().describe('Where the CloudEvents are sent, signed by Standard Webhooks'),
    secret: signingSecret(around).describe('Signs what is sent'),
    allowPrivateAddresses: allowPrivateAddresses(),
  });

const slack = (around: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('slack'),
      webhookUrl: secret(around).exactOptional().describe('An incoming webhook’s URL'),
      token: secret(around).exactOptional().describe('A bot token with chat:write'),
      channel: z.string().min(1).exactOptional().describe('With a token: the id of the Slack channel'),
      apiUrl: secureUrl()
        .default('https://slack.com/api')
        .describe('With a token: Slack’s API; default https://slack.com/api'),
      allowPrivateAddresses: allowPrivateAddresses(),
    })
    .transform(({ webhookUrl, token, channel, ...rest }, context) => {
      if (webhookUrl !== undefined && token === undefined && channel === undefined) return { ...rest, webhookUrl };
      if (webhookUrl === undefined && token !== undefined && channel !== undefined) return { ...rest, token, channel };
      context.addIssue({ code: 'custom', message: 'Give webhookUrl alone, or token and channel.' });
      return z.NEVER;
    });

export const notifications = (around: ConfigContext) =>
  z
    .strictObject({
      channels: z
        .record(
          z
            .string()
            .regex(/^[a-z0-9-]{1,64}$/, { error: 'A channel’s name has lower-case letters, digits and hyphens.' }),
          z.discriminatedUnion('type', [webhook(around), slack(around)]),
        )
        .default({})
        .describe('Named by `notify` of tiers and rules'),
    })
    .prefault({});

function readable(source: { read(): { reveal(): string } }): string | undefined {
  try {
    return source.read().reveal();
  } catch {
    return undefined;
  }
}
