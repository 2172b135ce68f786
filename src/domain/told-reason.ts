// Texts that people wrote and an agent may read: a rule's message, and the reason of a denial if the tiers allow it.
// The texts are bounded and made visible, so that no character in them can hide or reorder the text around them.

import type { Hold } from './hold.ts';
import { visible } from './visible-text.ts';

const LONGEST = 500;

export function quoted(text: string): string {
  const all = visible(text).text;
  return all.length <= LONGEST ? `“${all}”` : `“${all.slice(0, LONGEST)}…”`;
}

/** The messages of the rules, as a sentence to append; empty without messages. */
export function messageWords(messages: readonly string[] | undefined): string {
  return messages === undefined ? '' : ` The platform team says: ${messages.map(quoted).join(' ')}.`;
}

/**
 * The reason of the denial, as a sentence to append; empty unless every tier of the hold allows the agent to read it.
 */
export function denialWords({ votes, requirements }: Pick<Hold, 'votes' | 'requirements'>): string {
  const reason = votes.find(({ decision }) => decision === 'deny')?.reason;
  return reason === undefined || !requirements.every(({ tellAgent }) => tellAgent === true)
    ? ''
    : ` The reviewer says: ${quoted(reason)}.`;
}
