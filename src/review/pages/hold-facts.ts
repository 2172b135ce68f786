// What the gateway knows of a held call: what the configuration says that it is, where it leads, who answers for it, and
// what came before it. These are the gateway's own words. Only the texts of places are the agent's, and are marked.

import { html } from 'hono/html';
import type { Destination } from '../../domain/classification.ts';
import type { EpochMs } from '../../domain/clock.ts';
import { type Facts, historyOf } from '../../domain/facts.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Mark, MarkScope } from '../../domain/taint.ts';
import { ago, type Html, moment, number, words } from './html.ts';

export function renderFacts({ facts }: Hold, now: EpochMs): Html | string {
  if (facts === undefined) return '';
  const { data, operation, reversible, environment, owners, resources } = facts.classification;
  const rows = [
    row('Data', data),
    row('Operation', operation),
    row('Reversible', reversible === undefined ? undefined : reversible ? 'yes' : 'no'),
    row('Environment', environment),
    row('Touches', resources.length === 0 ? undefined : resources.join(', ')),
    row('Owners', owners.length === 0 ? undefined : [...new Set(owners.flat())].join(', ')),
  ];
  return html`<section id="facts" aria-labelledby="facts-title">
    <h2 id="facts-title">What is known <span class="aside">by the gateway, not by the agent</span></h2>
    <dl class="facts">${rows}</dl>
    ${renderDestinations(facts.destinations)}
    ${renderBefore(facts, now)}</section>`;
}

const row = (name: string, value: string | undefined): Html | string =>
  value === undefined ? '' : html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

function renderDestinations(destinations: NonNullable<Hold['facts']>['destinations']): Html | string {
  if (destinations === undefined) return '';
  const { targets, mentions, unknown } = destinations;
  return html`<table class="destinations">
    <caption>Where it leads</caption>
    <thead><tr><th>Trust</th><th>Place</th><th>Role</th></tr></thead>
    <tbody>${[...targets, ...mentions].map(renderPlace)}</tbody></table>
    ${unknown === undefined ? '' : html`<p class="why bad">${UNKNOWN[unknown]}</p>`}`;
}

function renderPlace({ value, host, trust, role }: Destination): Html {
  return html`<tr>
    <td>${trust}</td>
    <td class="mono">${words(host ?? value)}</td>
    <td>${role === 'target' ? 'it goes there' : 'it is mentioned'}</td></tr>`;
}

const UNKNOWN = {
  body_not_parsed: 'There may be more: the body is no JSON, and was not searched.',
  too_many: 'There are more: the call names too many places to list.',
} as const;

/** What the caller has seen, what was counted, and what happens for the first time. */
function renderBefore(facts: Facts, now: EpochMs): Html | string {
  const { tainted = [] } = facts;
  const { meters = {}, novel = [] } = historyOf(facts);
  const counted = Object.entries(meters).map(
    ([name, value]) => html`<li>${words(name)}: <strong>${number(value)}</strong> with this call</li>`,
  );
  const first = novel.map((what) => html`<li>${FIRST[what as keyof typeof FIRST]}</li>`);
  if (tainted.length + counted.length + first.length === 0) return '';
  const byTaint = Map.groupBy(tainted, ({ taint }) => taint);
  const marked = [...byTaint].map(([taint, marks]) => renderTaint(taint, marks, now));
  return html`<h3>What came before</h3>
    <ul class="plain-list">${marked}${counted}${first}</ul>`;
}

const WHOSE: Readonly<Record<MarkScope, string>> = {
  agent: 'an agent of the chain',
  person: 'a person of the chain',
  root: 'the tree of this task',
  resource: 'what it reads',
};

/** One taint, with everything of the caller that it marks; what caused it last is told. */
function renderTaint(taint: string, marks: readonly Mark[], now: EpochMs): Html {
  const last = marks.reduce((latest, mark) => (mark.until > latest.until ? mark : latest));
  const places = marks.map(({ scope, key }) => html`<li>${WHOSE[scope]}: <span class="mono">${words(key)}</span></li>`);
  return html`<li><span class="tag warn">${words(taint)}</span>
      since ${words(last.cause.resources.join(', '))} was read ${ago(last.cause.at, now)}, until ${moment(last.until)}.
      It marks
      <ul>${places}</ul></li>`;
}

const FIRST = {
  operation: 'This agent has not done this before.',
  destination: 'This agent has not done this with this destination before.',
  agent: 'This agent has done nothing here before.',
} as const;
