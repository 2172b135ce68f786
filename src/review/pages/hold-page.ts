// One hold on one page: what would happen in one sentence, everything that would be sent, who asks and why it was held,
// and the decision. The gateway's facts are shown plain; the agent's words are shown in quotation blocks that say so.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { DeniedHold, HeldContent, Hold, Vote } from '../../domain/hold.ts';
import type { HoldHistory } from '../history.ts';
import { renderAction, renderDifference, type Shown } from './arguments.ts';
import { type DecisionPanel, renderDecision } from './decision-panel.ts';
import { type Grounds, renderAgent, renderGrounds, renderTask } from './hold-background.ts';
import { renderFacts } from './hold-facts.ts';
import { ago, block, type Html, plural, words } from './html.ts';
import { renderProgress, renderState } from './inbox-page.ts';
import { renderPage, type SignedIn } from './layout.ts';
import { renderProposal, type Similar } from './proposal.ts';
import { details, sentence, what } from './sentence.ts';
import { renderStop } from './suspensions-page.ts';
import { renderTool } from './tool-words.ts';

export interface HoldPageOptions extends Grounds {
  readonly content: HeldContent;
  readonly shown: Shown;
  readonly history: HoldHistory;
  readonly similar: Similar;
  readonly panel: DecisionPanel;
  readonly session: SignedIn;
  readonly now: EpochMs;
}

export function renderHold(page: HoldPageOptions): Html {
  const { hold, content, session, panel, now } = page;
  return renderPage(
    { title: 'Hold', session, scripts: ['passkey.js'] },
    html`<div class="hold" data-hold="${hold.id}" data-version="${hold.version}" data-state="${hold.state}">
    <p class="crumbs"><a href="/">Inbox</a></p>
    ${renderStatement(hold, now)}
    <div class="columns">
      <div class="what">
        ${renderFacts(hold, now)}
        ${renderArguments(page)}
        ${renderTool(content)}
        ${renderBefore(page)}
        ${renderTask(hold, content, now)}
        ${renderAgent(page)}
        ${renderGrounds(page)}
        ${panel.permissions.vote ? html`<a class="jump button primary" href="#decide">Decide</a>` : ''}
      </div>
      <aside class="decide" aria-label="Decision">
        ${renderDecision(hold, panel, session, now)}
        ${renderVotes(hold.votes, now)}
        ${renderStop(hold, session)}
        ${renderDigest(hold)}
      </aside>
    </div></div>`,
  );
}

function renderStatement(hold: Hold, now: EpochMs): Html {
  const undo =
    hold.reversible === undefined
      ? ''
      : hold.reversible
        ? html`<span class="tag good">can be undone</span>`
        : html`<span class="tag bad">cannot be undone</span>`;
  return html`<section class="statement" aria-labelledby="statement">
    <div class="state-line">
      ${renderState(hold, now)}
      ${renderProgress(hold)}
      ${undo}
      ${hold.data === undefined ? '' : html`<span class="tag warn">${words(hold.data)} data</span>`}
    </div>
    <h1 id="statement">${sentence(hold, { above: true })}</h1></section>`;
}

function renderArguments({ hold, shown }: HoldPageOptions): Html {
  const { action } = hold;
  const [kind, called] =
    action.tool === undefined ? ['Call', html`${action.method} ${words(action.target)}`] : ['Tool', words(action.tool)];
  return html`<section id="arguments" aria-labelledby="arguments-title">
    <h2 id="arguments-title">What would be sent <span class="aside">every byte, never cut</span></h2>
    <dl class="facts">
      <div><dt>${kind}</dt><dd class="mono">${called}</dd></div>
      <div><dt>To</dt><dd>${action.upstream} <span class="quiet">at ${action.authority}</span></dd></div>
      ${renderUpgrade(action)}
    </dl>
    ${renderAction(hold, shown)}</section>`;
}

function renderBefore({ hold, shown, history, similar, now }: HoldPageOptions): Html {
  return html`<section aria-labelledby="before-title">
    <h2 id="before-title">Compared with before</h2>
    ${renderComparison(hold, shown, history, now)}
    ${renderDenials(history.denied, now)}
    ${renderProposal(similar)}</section>`;
}

function renderComparison(hold: Hold, shown: Shown, { approved }: HoldHistory, now: EpochMs): Html {
  if (shown.fault !== undefined || shown.dropped)
    return html`<p class="quiet">Not compared: the action cannot be shown whole.</p>`;
  if (approved === undefined)
    return html`<p class="quiet">
      You can see no earlier approved action of this kind by this agent.</p>`;
  return renderDifference(hold, shown.value, approved, now);
}

/**
 * The upstream chooses among the offered subprotocols and extensions. The gateway does not look at what goes over the
 * connection.
 */
function renderUpgrade({ upgrade }: Hold['action']): Html | string {
  if (upgrade === undefined) return '';
  const offered = (texts: readonly string[]) =>
    texts.length === 0 ? 'none offered' : html`<span class="mono">${words(texts.join(', '))}</span>`;
  return html`<div><dt>Opens</dt><dd>
      a WebSocket. An approval is for the whole session: what follows passes unseen,
      until it is closed or the agent’s token ends.</dd></div>
    <div><dt>Subprotocols</dt><dd>${offered(upgrade.subprotocols)}</dd></div>
    <div><dt>Extensions</dt><dd>${offered(upgrade.extensions)}</dd></div>`;
}

function renderDenials(denied: readonly DeniedHold[], now: EpochMs): Html {
  if (denied.length === 0) return html`<p class="quiet">You can see no earlier denial of this agent.</p>`;
  const item = (hold: DeniedHold) => {
    const reason = hold.votes.find(({ decision }) => decision === 'deny')?.reason;
    const said = reason === undefined ? '' : html`: <q>${words(reason)}</q>`;
    const link = html`<a href="/holds/${hold.id}">${what(hold.action)}</a>`;
    return html`<li>${link}${details(hold.action)}, denied ${ago(hold.endedAt, now)}${said}</li>`;
  };
  return html`<h3>Denied to this agent before</h3>
    <ul class="plain-list">${denied.map(item)}</ul>`;
}

function renderVotes(votes: readonly Vote[], now: EpochMs): Html | string {
  if (votes.length === 0) return '';
  return html`<section class="votes">
    <h2>${plural(votes.length, 'vote')}</h2>
    <ul class="plain-list">${votes.map((vote) => renderVote(vote, now))}</ul></section>`;
}

function renderVote({ reviewer, decision, reason, at, passkey }: Vote, now: EpochMs): Html {
  return html`<li>
    <span class="tag ${decision === 'approve' ? 'good' : 'bad'}">${decision}</span>
    <strong>${words(reviewer.name ?? reviewer.subject)}</strong>
    ${ago(at, now)}
    ${passkey === undefined ? '' : html`<span class="tag">passkey</span>`}
    ${reason === undefined ? '' : html`<blockquote>${block(reason)}</blockquote>`}</li>`;
}

function renderDigest({ bindingDigest, id, trace }: Hold): Html {
  return html`<section class="digest">
    <h2>Bound to</h2>
    <p class="quiet">Your vote counts for exactly this digest. Any other byte is another hold.</p>
    <p>
      <code id="digest" class="digest-text">${bindingDigest.replace(/.{8}(?=.)/g, '$& ')}</code>
      <button type="button" class="small" data-copy="${bindingDigest}" hidden>Copy</button>
    </p>
    <dl class="facts small">
      <div><dt>Hold</dt><dd class="mono">${id}</dd></div>
      <div><dt>Call trace</dt><dd class="mono">${trace.admit.traceId}</dd></div>
    </dl></section>`;
}
