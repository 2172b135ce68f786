// The inbox: what waits for this reviewer, most urgent first, grouped by task. Works without scripts; inbox.js keeps it
// up to date.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { VoteTimes } from '../../domain/hold-store.ts';
import type { Reviewer } from '../../domain/reviewer.ts';
import { tiersOf } from '../../domain/tier.ts';
import {
  AGE_CHOICES,
  type Filters,
  type Group,
  groupByTask,
  type Inbox,
  type InboxEntry,
  VIEWS,
  type View,
} from '../inbox.ts';
import { ago, duration, type Html, number, plural, timeLeft, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';
import { agentName, details, what } from './sentence.ts';

const LABELS: Readonly<Record<View, string>> = { mine: 'Waiting for me', open: 'All open', recent: 'Recent' };

/** `named`: whether the configuration names this person anywhere. */
export function renderInbox(inbox: Inbox, session: SignedIn, speed: VoteTimes, named: boolean): Html {
  const { filters, counts, entries, more, now } = inbox;
  const list =
    entries.length === 0
      ? renderEmpty(filters, counts, named ? undefined : session.reviewer)
      : groupByTask(entries).map((group) => renderGroup(group, now));
  return renderPage(
    { title: counts.mine > 0 ? `(${counts.mine}) Inbox` : 'Inbox', session, current: 'inbox', scripts: ['inbox.js'] },
    html`<div class="head">
      <h1>Inbox</h1>
      <p class="quiet">
        <span id="live" class="live" data-state="off">Reload to see what is new</span>
        <button type="button" class="plain keys-button" id="keys-button" hidden aria-haspopup="dialog">
          Keys <kbd>?</kbd></button>
      </p>
    </div>
    <div id="inbox" data-view="${filters.view}">
      ${renderTabs(filters, counts)}
      ${renderFilters(inbox)}
      ${list}
      ${more ? html`<p class="quiet">${MORE}</p>` : ''}
      ${renderReviewSpeed(speed)}
    </div>
    <p id="changes" class="sr" role="status"></p>
    ${renderKeys()}`,
  );
}

const MORE = 'There are more open holds than this list shows. Filters look at the newest thousand.';

function renderTabs({ view: current }: Filters, counts: Inbox['counts']): Html {
  const tab = (view: View) =>
    html`<a href="/?view=${view}" ${view === current ? html`aria-current="page"` : ''}>
      ${LABELS[view]}
      <span class="count">${number(counts[view])}</span></a>`;
  return html`<nav class="tabs" aria-label="Views">${VIEWS.map(tab)}</nav>`;
}

function renderFilters({ filters, choices }: Inbox): Html | string {
  const isSet = filters.upstream ?? filters.agent ?? filters.tier ?? filters.olderThanMs;
  if (isSet === undefined && choices.upstreams.length === 0) return '';
  return html`<details class="filters" ${isSet === undefined ? '' : 'open'}>
    <summary>Filter${isSet === undefined ? '' : ' (on)'}</summary>
    <form method="get" action="/">
      <input type="hidden" name="view" value="${filters.view}">
      ${select('upstream', 'Upstream', choices.upstreams, filters.upstream)}
      ${select('agent', 'Agent', choices.agents, filters.agent)}
      ${select('tier', 'Tier', choices.tiers, filters.tier)}
      ${select('age', 'Waiting longer than', AGE_CHOICES, undefined)}
      <button type="submit">Apply</button>
      <a href="/?view=${filters.view}">Clear</a>
    </form></details>`;
}

function select(name: string, label: string, values: readonly string[], chosen: string | undefined): Html {
  const option = (value: string) =>
    html`<option value="${value}" ${value === chosen ? 'selected' : ''}>${value}</option>`;
  return html`<label>${label}
    <select name="${name}">
      <option value="">any</option>
      ${values.map(option)}
    </select></label>`;
}

const empty = (title: string, content: Html): Html =>
  html`<div class="empty">
      <h2>${title}</h2>
      ${content}
    </div>`;

function renderEmpty(filters: Filters, counts: Inbox['counts'], unnamed: Reviewer | undefined): Html {
  if (unnamed !== undefined) return renderUnnamed(unnamed);
  const filtered = filters.upstream ?? filters.agent ?? filters.tier ?? filters.olderThanMs;
  if (filtered !== undefined) {
    const clear = html`<p><a href="/?view=${filters.view}">Clear the filters</a></p>`;
    return empty('Nothing matches these filters', clear);
  }
  if (filters.view === 'recent')
    return empty('Nothing has been decided yet', html`<p>What you may see stays here after it has ended.</p>`);
  if (filters.view === 'mine' && counts.open > 0) {
    const others = html`<a href="/?view=open">${plural(counts.open, 'open action')}</a>`;
    const wait = counts.open === 1 ? 'waits' : 'wait';
    return empty(
      'Nothing waits for you',
      html`<p>${others} ${wait} for other people, or for the agent to come back.</p>`,
    );
  }
  const none = html`<p>No agent is waiting for a decision. New ones appear here by themselves.</p>`;
  return empty('All clear', none);
}

/** Not "All clear": calls may be waiting for people of other groups. */
function renderUnnamed({ groups, subject }: Reviewer): Html {
  const brought =
    groups.length === 0
      ? html`<p>Your sign-in brought no groups.</p>`
      : html`<p>Your sign-in brought ${plural(groups.length, 'group')}:</p>
      <ul class="plain-list">${groups.map((group) => html`<li><code>${words(group)}</code></li>`)}</ul>`;
  return empty(
    'Nothing here names you',
    html`${brought}
      <p>
        No tier of this gateway names one of them, or you (<code>${words(subject)}</code>).
        The people who run this gateway can add <code>group:</code> and a name exactly as shown here to a tier,
        or have the issuer send other groups. Then sign in again.</p>`,
  );
}

function renderGroup({ task, entries }: Group, now: EpochMs): Html {
  const title =
    task === undefined
      ? html`<h2 class="group">Without a task</h2>`
      : html`<h2 class="group">
      <span class="label">Task, in the agent’s words</span>
      <q>${words(task.heading)}</q>
      <span class="count">${number(entries.length)}</span></h2>`;
  return html`<section>
    ${title}
    <ul class="list">${entries.map((entry) => renderEntry(entry, now))}</ul></section>`;
}

function renderEntry({ hold, permissions }: InboxEntry, now: EpochMs): Html {
  const tags = [
    hold.reversible === false ? html`<span class="tag bad">cannot be undone</span>` : '',
    hold.data === undefined ? '' : html`<span class="tag warn">${words(hold.data)}</span>`,
    tiersOf(hold.requirements).map((tier) => html`<span class="tag">${tier}</span>`),
  ];
  const isPending = hold.state === 'PENDING';
  const why = html`<span class="quiet">${permissions.revoke ? 'you voted' : 'not yours to decide'}</span>`;
  return html`<li class="card" data-hold="${hold.id}" data-version="${hold.version}">
    <a class="card-link" href="/holds/${hold.id}">
      <span class="card-what">${what(hold.action)}${details(hold.action)}</span></a>
    <span class="card-who">${words(agentName(hold.principal))} · asked ${ago(hold.createdAt, now)}</span>
    <span class="card-tags">${tags}</span>
    <span class="card-side">
      ${renderState(hold, now)}
      ${isPending ? renderProgress(hold) : ''}
      ${isPending && !permissions.approve ? why : ''}
    </span></li>`;
}

const STATE_WORDS: Readonly<Record<Hold['state'], readonly [string, string]>> = {
  PENDING: ['waiting', ''],
  APPROVED: ['approved, not used yet', 'good'],
  RELEASING: ['being sent', 'good'],
  SENT: ['being sent', 'good'],
  EXECUTED: ['executed', 'good'],
  UPSTREAM_ERROR: ['sent, refused upstream', 'warn'],
  OUTCOME_UNKNOWN: ['outcome unknown', 'bad'],
  DENIED: ['denied', 'bad'],
  EXPIRED: ['expired', ''],
  CANCELLED: ['cancelled by the agent', ''],
  REVOKED: ['taken back', ''],
  INVALIDATED: ['void: something changed', ''],
};

export function renderState(hold: Hold, now: EpochMs): Html {
  if (hold.state === 'PENDING') return timeLeft(hold.deadline, now);
  const [text, kind] = STATE_WORDS[hold.state];
  return html`<span class="tag ${kind}">${text}</span>${hold.state === 'APPROVED' ? timeLeft(hold.useBy, now) : ''}`;
}

/** `1 of 2 approvals`, with a dot per seat. */
export function renderProgress(hold: Hold): Html {
  const needed = hold.requirements.reduce((sum, { count }) => sum + count, 0);
  const given = hold.votes.filter(({ decision }) => decision === 'approve').length;
  const dots = Array.from(
    { length: Math.min(needed, 12) },
    (_, seat) => html`<i ${seat < given ? html`class="on"` : ''}></i>`,
  );
  return html`<span class="seats">
      <span class="dots" aria-hidden="true">${dots}</span>
      ${given} of ${plural(needed, 'approval')}</span>`;
}

/** Shows reviewers how fast they decide: many very fast decisions are a sign of fatigue, not of diligence. */
function renderReviewSpeed({ decisions, medianSeconds, tooFast }: VoteTimes): Html | string {
  if (decisions === 0) return '';
  const median =
    medianSeconds === undefined ? '' : `, half of them within ${duration(medianSeconds * 1000)} of opening`;
  const quick = tooFast === 0 ? '' : html` <span class="tag warn">${number(tooFast)} in under 3 s</span>`;
  return html`<p class="review-speed quiet">Your last 24 hours: ${plural(decisions, 'decision')}${median}.${quick}</p>`;
}

function renderKeys(): Html {
  const rows = [
    ['j / k', 'next, previous'],
    ['Enter', 'open'],
    ['a / d', 'open, and go to approve or deny'],
    ['1 2 3', 'waiting for me, all open, recent'],
    ['?', 'this list'],
  ];
  const row = ([key, does]: readonly string[]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`;
  return html`<dialog id="keys" aria-labelledby="keys-title">
    <h2 id="keys-title">Keys</h2>
    <dl class="keys">${rows.map(row)}</dl>
    <form method="dialog"><button>Close</button></form></dialog>`;
}
