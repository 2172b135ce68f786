// "This keeps coming": instead of a button "always allow", it shows a change of the rules as text. People copy the text
// and propose it like any other change of the rules. The API returns the same text.

import { html } from 'hono/html';
import type { similarTo } from '../similar.ts';
import { block, type Html, number } from './html.ts';

export type Similar = Awaited<ReturnType<typeof similarTo>>;

export function renderProposal({ approvedTimes, proposedRules }: Similar): Html | string {
  if (proposedRules === undefined) return '';
  return html`<details class="fold">
    <summary>This keeps coming: approved ${number(approvedTimes)} times before</summary>
    <p>
      If it should not need people, the rules can say so.
      Propose this change to whoever keeps the rules; nothing changes here.</p>
    <pre class="long" tabindex="0">${block(proposedRules)}</pre>
    <p><button type="button" class="small" data-copy="${proposedRules}" hidden>Copy</button></p></details>`;
}
