// One hold on one page: what would happen in one sentence, everything that would be sent, who asks and why it was held,
// and the decision. Facts of the gateway's stand plain; words of the agent's stand in quotation blocks that say so.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import { type Requirement, WHY } from '../../domain/decision.ts';
import type { DeniedHold, HeldContent, Hold, HoldProgress, Vote } from '../../domain/hold.ts';
import type { Party } from '../../domain/principal.ts';
import type { HoldHistory } from '../history.ts';
import { renderAction, renderDifference, type Shown } from './arguments.ts';
import { type DecisionPanel, renderDecision } from './decision-panel.ts';
import { ago, block, duration, type Html, moment, plural, words } from './html.ts';
import { renderProgress, renderState } from './inbox-page.ts';
import { renderPage, type SignedIn } from './layout.ts';
import { renderProposal, type Similar } from './proposal.ts';
import { details, sentence, what } from './sentence.ts';
import { renderStop } from './suspensions-page.ts';
import { renderTool } from './tool-words.ts';

/** What the gateway knows beside the hold itself. */
export interface Background {
  /** How the credential is made and when it ends, as configured now. */
  readonly credential?: string;
  /** What proved the agent: `a token`. */
  readonly proof: string;
  /** By rule id: what the rule matches, where the policy in force is the one that held the call. */
  rule(id: string): string | undefined;
}

export interface HoldPageOptions {
  readonly hold: Hold;
  readonly content: HeldContent;
  readonly shown: Shown;
  readonly history: HoldHistory;
  readonly similar: Similar;
  /** As they stand now: after an escalation they name the second group too. */
  readonly requirements: readonly Requirement[];
  readonly background: Background;
  readonly panel: DecisionPanel;
  readonly session: SignedIn;
  readonly now: EpochMs;
}

export function renderHold(page: HoldPageOptions): Html {
  const { hold, content, session, shown, history, now } = page;
  return renderPage(
    { title: 'Hold', session, scripts: ['passkey.js'] },
    html`<div class="hold" data-hold="${hold.id}" data-version="${hold.version}" data-state="${hold.state}">
    <p class="crumbs"><a href="/">Inbox</a></p>
    <section class="statement" aria-labelledby="statement"><div class="state-line">${renderState(hold, now)} ${renderProgress(hold)}
      ${hold.reversible === false ? html`<span class="tag bad">cannot be undone</span>` : hold.reversible === true ? html`<span class="tag good">can be undone</span>` : ''}
      ${hold.data === undefined ? '' : html`<span class="tag warn">${words(hold.data)} data</span>`}</div>
      <h1 id="statement">${sentence(hold, { above: true })}</h1></section>
    <div class="columns"><div class="what">
      <section id="arguments" aria-labelledby="arguments-title"><h2 id="arguments-title">What would be sent <span class="aside">every byte, never cut</span></h2>
        <dl class="facts"><div><dt>${hold.action.tool === undefined ? 'Call' : 'Tool'}</dt><dd class="mono">${hold.action.tool === undefined ? html`${hold.action.method} ${words(hold.action.target)}` : words(hold.action.tool)}</dd></div>
        <div><dt>To</dt><dd>${hold.action.upstream} <span class="quiet">at ${hold.action.authority}</span></dd></div>${renderUpgrade(hold.action)}</dl>
        ${renderAction(hold, shown)}</section>
      ${renderTool(content)}
      <section aria-labelledby="before-title"><h2 id="before-title">Compared with before</h2>
        ${shown.fault !== undefined || shown.dropped ? html`<p class="quiet">Not compared, since it cannot be shown whole.</p>` : history.approved === undefined ? html`<p class="quiet">You have no earlier approved action of this kind by this agent to compare with.</p>` : renderDifference(hold, shown.value, history.approved, now)}
        ${renderDenials(history.denied, now)} ${renderProposal(page.similar)}</section>
      ${renderTask(hold, content, now)}
      ${renderAgent(hold, page.background)}
      ${renderGrounds(page)}
    ${page.panel.standing.vote ? html`<a class="jump button primary" href="#decide">Decide</a>` : ''}
    </div><aside class="decide" aria-label="Decision">${renderDecision(hold, page.panel, session, now)}${renderVotes(hold.votes, now)}${renderStop(hold, session)}${renderDigest(hold)}</aside></div></div>`,
  );
}

/** The upstream chooses among what is offered, and nobody looks at what goes over the connection. */
function renderUpgrade({ upgrade }: Hold['action']): Html | string {
  if (upgrade === undefined) return '';
  const offered = (texts: readonly string[]) =>
    texts.length === 0 ? 'none offered' : html`<span class="mono">${words(texts.join(', '))}</span>`;
  return html`<div><dt>Opens</dt><dd>a WebSocket: what goes over it afterwards is not looked at, until it is closed or the agent’s token ends</dd></div>
    <div><dt>Subprotocols</dt><dd>${offered(upgrade.subprotocols)}</dd></div>
    <div><dt>Extensions</dt><dd>${offered(upgrade.extensions)}</dd></div>`;
}

function renderDenials(denied: readonly DeniedHold[], now: EpochMs): Html {
  if (denied.length === 0)
    return html`<p class="quiet">Nothing of this agent’s that you may see was denied before.</p>`;
  const item = (hold: DeniedHold) => {
    const reason = hold.votes.find(({ decision }) => decision === 'deny')?.reason;
    return html`<li><a href="/holds/${hold.id}">${what(hold.action)}</a>${details(hold.action)}, denied ${ago(hold.endedAt, now)}${reason === undefined ? '' : html`: <q>${words(reason)}</q>`}</li>`;
  };
  return html`<h3>Denied to this agent before</h3><ul class="plain-list">${denied.map(item)}</ul>`;
}

function renderTask({ task }: Hold, { task: said }: HeldContent, now: EpochMs): Html {
  if (task === undefined) {
    return html`<section aria-labelledby="task-title"><h2 id="task-title">Task</h2><p class="quiet">The agent named no task for this call.</p></section>`;
  }
  if (said === undefined) {
    return html`<section aria-labelledby="task-title"><h2 id="task-title">Task</h2>
      <figure class="agent-words"><figcaption>The agent’s own words. The gateway does not vouch for them.</figcaption><blockquote><p>${words(task.heading)}</p></blockquote></figure>
      <p class="quiet">Task <code>${words(task.id)}</code>, revision ${task.revision}. The rest of its words is not kept any more.</p></section>`;
  }
  const calls = said.calls.map(
    (call) =>
      html`<tr><td>${ago(call.at, now)}</td><td class="mono">${words(call.tool ?? `${call.method} ${call.path}`)} <span class="quiet">on ${call.upstream}</span></td><td><span class="tag ${call.decision === 'deny' ? 'bad' : call.decision === 'hold' ? 'warn' : ''}">${call.decision}</span></td><td>${call.status ?? ''}</td></tr>`,
  );
  return html`<section aria-labelledby="task-title"><h2 id="task-title">Task</h2>
    <figure class="agent-words"><figcaption>The agent’s own words. The gateway does not vouch for them.</figcaption><blockquote><p>${block(said.objective)}</p>
    ${said.plan.length === 0 ? '' : html`<ol>${said.plan.map((step) => html`<li>${words(step)}</li>`)}</ol>`}
    ${said.labels.length === 0 ? '' : html`<p>${said.labels.map((label) => html`<span class="tag">${words(label)}</span> `)}</p>`}</blockquote></figure>
    <p class="quiet">Task <code>${words(task.id)}</code>, revision ${task.revision}.</p>
    <h3>Its calls before this one</h3>${
      calls.length === 0
        ? html`<p class="quiet">None: this is the first call of the task.</p>`
        : html`<div class="scroll" tabindex="0" role="region" aria-label="Earlier calls"><table><thead><tr><th scope="col">When</th><th scope="col">Call</th><th scope="col">Decision</th><th scope="col">Status</th></tr></thead><tbody>${calls}</tbody></table></div>`
    }</section>`;
}

function renderAgent({ principal }: Hold, background: Background): Html {
  const chain = (parties: readonly Party[]) => parties.map(({ id }) => html`<li class="mono">${words(id)}</li>`);
  return html`<section aria-labelledby="agent-title"><h2 id="agent-title">Who asks</h2><dl class="facts">
    <div><dt>Agent</dt><dd class="mono">${words(principal.id)}</dd></div>
    ${principal.spiffeId === undefined ? '' : html`<div><dt>Its workload</dt><dd class="mono">${words(principal.spiffeId)}</dd></div>`}
    ${principal.name === undefined ? '' : html`<div><dt>Name at its issuer</dt><dd>${words(principal.name)}</dd></div>`}
    ${principal.client === undefined ? '' : html`<div><dt>Client</dt><dd class="mono">${words(principal.client)}</dd></div>`}
    <div><dt>Proved by</dt><dd>${background.proof} of <span class="mono">${words(principal.issuer)}</span></dd></div>
    <div><dt>On behalf of</dt><dd>${principal.onBehalfOf.length === 0 ? 'nobody: it acts for itself' : html`<ol class="plain-list">${chain(principal.onBehalfOf)}</ol>`}</dd></div>
    <div><dt>Owners</dt><dd>${principal.owners.length === 0 ? 'none registered' : principal.owners.map((owner) => html`${words(owner)} `)}</dd></div></dl></section>`;
}

function renderGrounds({ hold, background, requirements }: HoldPageOptions): Html {
  const { credential } = hold.action;
  const scope =
    credential === undefined
      ? ''
      : Object.keys(credential.scope).length === 0
        ? 'not narrowed by a rule'
        : JSON.stringify(credential.scope);
  const rule = ({ id, effect, why }: Hold['rules'][number]) => {
    const text = background.rule(id);
    return html`<li><code>${words(id)}</code> says <strong>${effect}</strong>: ${WHY[why]}.${text === undefined ? '' : html` <span class="mono quiet">${words(text)}</span>`}</li>`;
  };
  const need = ({ tier, count, reviewers, stepUp, reasonRequired, useWithinMs, escalate }: Requirement) =>
    html`<li><strong>${tier}</strong>: ${count === 1 ? 'one person' : `${count} people`} of ${words(reviewers.join(', '))}${stepUp ? ', with a fresh sign-in or a passkey' : ''}${reasonRequired ? ', with a reason' : ''}; once approved, to be used within ${duration(useWithinMs)}${escalate === undefined ? '' : html`. ${duration(escalate.afterMs)} after it was asked, also ${words(escalate.to.join(', '))}`}</li>`;
  const { endedBecause }: HoldProgress = hold;
  return html`<section aria-labelledby="grounds-title"><h2 id="grounds-title">Why it was held</h2>
    <ul class="plain-list">${hold.rules.map(rule)}</ul>
    <h3>What it takes</h3><ul class="plain-list">${requirements.map(need)}</ul>
    ${hold.requirements.length > 1 ? html`<p class="quiet">One person counts once over all of them.</p>` : ''}
    <h3>Credential that would be minted</h3>${
      credential === undefined
        ? html`<p class="quiet">None: the call goes out without one.</p>`
        : html`<dl class="facts"><div><dt>Name</dt><dd><code>${credential.name}</code>${background.credential === undefined ? '' : html` <span class="quiet">${background.credential}</span>`}</dd></div><div><dt>Scope</dt><dd class="mono">${words(scope)}</dd></div></dl><p class="quiet">It goes onto the call only after the approval, and is shown to nobody, the agent included.</p>`
    }
    <dl class="facts"><div><dt>Asked</dt><dd>${moment(hold.createdAt)}</dd></div><div><dt>Decide before</dt><dd>${moment(hold.deadline)}</dd></div>
    ${endedBecause === undefined ? '' : html`<div><dt>Ended because</dt><dd>${words(endedBecause)}</dd></div>`}</dl></section>`;
}

function renderVotes(votes: readonly Vote[], now: EpochMs): Html | string {
  if (votes.length === 0) return '';
  return html`<section class="votes"><h2>${plural(votes.length, 'vote')}</h2><ul class="plain-list">${votes.map(
    (
      vote,
    ) => html`<li><span class="tag ${vote.decision === 'approve' ? 'good' : 'bad'}">${vote.decision}</span> <strong>${words(vote.reviewer.name ?? vote.reviewer.subject)}</strong> ${ago(vote.at, now)}${vote.passkey === undefined ? '' : html` <span class="tag">passkey</span>`}
    ${vote.reason === undefined ? '' : html`<blockquote>${block(vote.reason)}</blockquote>`}</li>`,
  )}</ul></section>`;
}

function renderDigest({ bindingDigest, id, trace }: Hold): Html {
  return html`<section class="digest"><h2>Bound to</h2><p class="quiet">Your vote counts for exactly this digest. Any other byte is another hold.</p>
    <p><code id="digest" class="digest-text">${bindingDigest.match(/.{8}/g)?.join(' ') ?? bindingDigest}</code>
    <button type="button" class="small" data-copy="${bindingDigest}" hidden>Copy</button></p>
    <dl class="facts small"><div><dt>Hold</dt><dd class="mono">${id}</dd></div><div><dt>Call trace</dt><dd class="mono">${trace.admit.traceId}</dd></div></dl></section>`;
}
