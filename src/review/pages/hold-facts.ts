// What the configuration says that a held call is: how sensitive, which operation, where it leads, who answers for it. These
// are the gateway's own words. Only the texts of places are the agent's, and are marked.

import { html } from 'hono/html';
import type { Destination } from '../../domain/classification.ts';
import type { Hold } from '../../domain/hold.ts';
import { type Html, words } from './html.ts';

export function renderFacts({ facts }: Hold): Html | string {
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
    <h2 id="facts-title">What it is <span class="aside">by the configuration</span></h2>
    <dl class="facts">${rows}</dl>
    ${renderDestinations(facts.destinations)}</section>`;
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
