// Slack: a Block Kit message with a button that opens the reviewers' page, and nothing else. It asks for no
// interactivity and takes no callback: whoever presses the button still has to sign in, and decides on the page. The URL
// of an incoming webhook is itself a secret.

import { z } from 'zod';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import {
  allowPrivateAddresses,
  type ChannelAnswer,
  type ChannelType,
  deliveryOf,
  headlineOf,
  type Message,
} from './channel.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('slack'),
      webhookUrl: secret(context).exactOptional().describe('An incoming webhook’s URL'),
      token: secret(context).exactOptional().describe('A bot token with chat:write'),
      channel: z.string().min(1).exactOptional().describe('With a token: the id of the Slack channel'),
      apiUrl: secureUrl()
        .default('https://slack.com/api')
        .describe('With a token: Slack’s API; default https://slack.com/api'),
      allowPrivateAddresses: allowPrivateAddresses(),
    })
    .transform(({ webhookUrl, token, channel, ...rest }, issues) => {
      if (webhookUrl !== undefined && token === undefined && channel === undefined) return { ...rest, webhookUrl };
      if (webhookUrl === undefined && token !== undefined && channel !== undefined) return { ...rest, token, channel };
      issues.addIssue({ code: 'custom', message: 'Set `webhookUrl` alone, or `token` and `channel`.' });
      return z.NEVER;
    });

export const slack: ChannelType<ReturnType<typeof settings>> = {
  settings,
  create: (options, { post }) => {
    const send = (url: string, fields: object, message: object) =>
      post(url, {
        headers: { 'content-type': 'application/json; charset=utf-8', ...fields },
        body: JSON.stringify(message),
        allowPrivateAddresses: options.allowPrivateAddresses,
      });
    if ('webhookUrl' in options)
      return async (message) => deliveryOf(await send(options.webhookUrl.read().reveal(), {}, blocksOf(message)));
    const url = `${options.apiUrl.replace(/\/$/, '')}/chat.postMessage`;
    return async (message) => {
      const authorization = `Bearer ${options.token.read().reveal()}`;
      const { channel } = options;
      return judge(
        await send(url, { authorization }, { channel, ...blocksOf(message), unfurl_links: false, unfurl_media: false }),
      );
    };
  },
};

/** `text` is shown in the phone's notification, `blocks` in the channel. */
function blocksOf({ notification, link }: Message) {
  const { code, tier } = notification;
  const says = headlineOf(notification);
  return {
    text: `${says} (${escapeText(tier)}, code ${code})`,
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: `*${says}*\nTier: ${escapeText(tier)}\nCode: \`${code}\`` } },
      {
        type: 'actions',
        elements: [{ type: 'button', text: { type: 'plain_text', text: 'Open in Countersign' }, url: link }],
      },
      {
        type: 'context',
        elements: [
          { type: 'mrkdwn', text: 'Compare the code with the one on the page. Nothing can be decided from here.' },
        ],
      },
    ],
  };
}

/** Slack answers 200 also when it refuses a message; `ok` in the body tells which. */
function judge(answer: ChannelAnswer) {
  const delivery = deliveryOf(answer);
  if (delivery.kind !== 'delivered') return delivery;
  const { ok, error } = parse(answer.body);
  if (ok === true) return delivery;
  // The body is not trusted: only a word of the documented form is kept.
  const word = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : 'unknown';
  const failed = `Slack refused the message: ${word}.`;
  return HOPELESS.has(word)
    ? ({ kind: 'hopeless', error: failed } as const)
    : ({ kind: 'failed', error: failed } as const);
}

/** Errors that only a person can put right. */
const HOPELESS: ReadonlySet<string> = new Set([
  'channel_not_found',
  'not_in_channel',
  'is_archived',
  'invalid_auth',
  'account_inactive',
  'token_revoked',
  'missing_scope',
]);

function parse(body: string): { readonly ok?: unknown; readonly error?: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Escapes Slack's three control characters (Slack, "Formatting text", section "Escaping text"). */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
