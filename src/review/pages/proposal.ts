// "This keeps coming": instead of a button that always allows, a change of the rules as text, to be copied and to go the way that changes of
// the rules go. Proposed is an allow rule for exactly this agent and this call; the hold rule has to make room for it, and the text says so.

import { html } from 'hono/html';
import type { Hold } from '../../domain/hold.ts';
import { visible } from '../../domain/visible-text.ts';
import { block, type Html, number } from './words.ts';

/** From how many approvals on a kind of call is worth a rule. */
const OFTEN = 5;

export function renderProposal(hold: Hold, timesApproved: number): Html | string {
  if (timesApproved < OFTEN) return '';
  const yaml = proposeRule(hold);
  return html`<details class="fold"><summary>This keeps coming: approved ${number(timesApproved)} times before</summary>
    <p>If it should not need people, the rules can say so. Propose this change to who keeps them; nothing changes here.</p>
    <pre class="long" tabindex="0">${block(yaml)}</pre><p><button type="button" class="small" data-copy="${yaml}" hidden>Copy</button></p></details>`;
}

/** YAML for the `rules` list. JSON strings are YAML strings: no text of the agent's can leave its quotes. */
export function proposeRule({ action, principal, rules }: Hold): string {
  const text = (value: string) => JSON.stringify(visible(value).text);
  const what = action.tool === undefined ? `methods: [${action.method}], path: ${text(action.path)}` : `tool: ${text(action.tool)}`;
  const holding = rules.filter(({ effect }) => effect === 'hold').map(({ id }) => id);
  const condition = `agent.id == ${text(principal.id)}`;
  return [
    `# Strictest wins: exclude this case from ${holding.join(', ')} as well, with`,
    `#   when: ${condition.replace('==', '!=')}`,
    `- id: ${holding[0] ?? 'call'}-without-approval`,
    `  match: { upstream: ${text(action.upstream)}, ${what} }`,
    `  when: ${JSON.stringify(condition)}`,
    '  decide: allow',
    '',
  ].join('\n');
}
