// What an MCP server says about the tool that is called, and what it said before. These are the server's own words, and
// the page marks them as such.

import { html } from 'hono/html';
import type { HeldContent } from '../../domain/hold.ts';
import { toolDiff } from '../../domain/tool-diff.ts';
import { block, type Html, words } from './html.ts';

export function renderTool({ toolChange, toolWords }: Pick<HeldContent, 'toolChange' | 'toolWords'>): Html | string {
  if (toolChange === undefined && toolWords === undefined) return '';
  return html`<section id="tool" aria-labelledby="tool-title">
    <h2 id="tool-title">The tool, in the words of its server</h2>
    ${toolChange === undefined ? '' : renderChange(toolDiff(toolChange.pinned, toolChange.now))}
    ${toolWords === undefined ? '' : renderWords(toolWords)}</section>`;
}

function renderChange(lines: readonly string[]): Html {
  return html`<div class="alert bad">
      <strong>Its definition is not the one that was pinned.</strong>
      Lines with - were there when it was pinned; lines with + are there now.
      Approving the call trusts the new definition.</div>
    <pre class="long" tabindex="0" aria-label="What changed in the definition">${block(lines.join('\n'))}</pre>`;
}

function renderWords({ title, description, arguments: given }: NonNullable<HeldContent['toolWords']>): Html {
  const rows = Object.entries(given).map(([name, said]) => {
    const label = said.title === undefined ? '' : html`<strong>${words(said.title)}</strong> `;
    return html`<div><dt>${words(name)}</dt><dd>${label}${block(said.description ?? '')}</dd></div>`;
  });
  return html`<figure class="agent-words">
      <figcaption>The server’s own words. The gateway does not vouch for them.</figcaption>
      <blockquote>
        ${title === undefined ? '' : html`<p><strong>${words(title)}</strong></p>`}
        ${description === undefined ? '' : html`<p>${block(description)}</p>`}
        ${rows.length === 0 ? '' : html`<dl class="tree">${rows}</dl>`}
      </blockquote>
    </figure>`;
}
