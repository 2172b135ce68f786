// Slack: a Block Kit message with a button that opens the page, and nothing else. No interactivity is asked for and no
// callback is taken: who presses the button still has to sign in, and decides there.

import type { SecretSource } from '../../domain/secret.ts';
import { type Channel, type ChannelAnswer, deliveryOf, type Message, type Post } from './channel.ts';

export type SlackOptions = { readonly allowPrivateAddresses: boolean; readonly apiUrl: string } & (
  | { readonly webhookUrl: SecretSource }
  | { readonly token: SecretSource; readonly channel: string }
);

const SAYS = {
  'hold.opened': 'A call waits for your decision',
  'hold.escalated': 'Nobody has decided yet: a call waits for your decision',
  'hold.outcome_unknown': 'It is not known whether an approved call took effect: somebody has to look',
  'call.passed': 'A call passed that is to be looked at',
} as const;

export function createSlack(options: SlackOptions, post: Post): Channel {
  const { allowPrivateAddresses } = options;
  const json = { 'content-type': 'application/json; charset=utf-8' };
  if ('webhookUrl' in options) {
    return async (message) =>
      deliveryOf(
        await post(options.webhookUrl.read().reveal(), {
          headers: json,
          body: JSON.stringify(blocksOf(message)),
          allowPrivateAddresses,
        }),
      );
  }
  return async (message) => {
    const headers = { ...json, authorization: `Bearer ${options.token.read().reveal()}` };
    const body = JSON.stringify({
      channel: options.channel,
      ...blocksOf(message),
      unfurl_links: false,
      unfurl_media: false,
    });
    return judge(
      await post(`${options.apiUrl.replace(/\/$/, '')}/chat.postMessage`, { headers, body, allowPrivateAddresses }),
    );
  };
}

/** The message: `text` for the notification of the phone, `blocks` for the channel. */
function blocksOf({ notification: { kind, code, tier, count }, link }: Message) {
  const says = count === undefined ? SAYS[kind] : `${count} calls passed that are to be looked at`;
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

/** Slack answers 200 to refusals too, and says so in `ok`. */
function judge(answer: ChannelAnswer) {
  const delivery = deliveryOf(answer);
  if (delivery.kind !== 'delivered') return delivery;
  const { ok, error } = parse(answer.body);
  if (ok === true) return delivery;
  // Only a word of Slack's documented form is kept.
  const word = typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : 'unknown';
  const failed = `Slack refused the message: ${word}.`;
  return HOPELESS.has(word)
    ? ({ kind: 'hopeless', error: failed } as const)
    : ({ kind: 'failed', error: failed } as const);
}

/** What only a person can mend. */
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

/** Slack's three control characters (formatting text, "Escaping text"). */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
