// Why a call is held and who asks: the task in the agent's own words, the agent's identity, the rules, the tiers and
// the credential. The gateway's facts are shown plain; the agent's words are shown in quotation blocks that say so.

import { html } from 'hono/html';
import { assuranceOf, assuranceWords } from '../../domain/assurance.ts';
import type { EpochMs } from '../../domain/clock.ts';
import { type Requirement, WHY } from '../../domain/decision.ts';
import type { HeldContent, HeldTaskWords, Hold, HoldProgress } from '../../domain/hold.ts';
import type { Party } from '../../domain/principal.ts';
import type { TaskCall } from '../../domain/task.ts';
import { ago, block, duration, type Html, moment, table, words } from './html.ts';

/** What the gateway knows beside the hold itself. */
export interface Background {
  /** How the credential is made and when it ends, as configured now. */
  readonly credential?: string;
  /** What proved the agent: `a token`. */
  readonly proof: string;
  /** What the rule of this id matches; undefined when the policy in force is not the one that held the call. */
  rule(id: string): string | undefined;
}

const section = (id: string, title: string, content: Html): Html =>
  html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${content}</section>`;

const fact = (name: string, value: Html | string): Html => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
const monoFact = (name: string, value: Html | string): Html =>
  html`<div><dt>${name}</dt><dd class="mono">${value}</dd></div>`;

export function renderTask({ task }: Hold, { task: said }: HeldContent, now: EpochMs): Html {
  if (task === undefined)
    return section('task-title', 'Task', html`<p class="quiet">The agent named no task for this call.</p>`);
  const named = html`<a href="/tasks/${task.id}">Task <code>${words(task.id)}</code></a>, revision ${task.revision}.`;
  if (said === undefined)
    return section(
      'task-title',
      'Task',
      html`${agentWords(html`<p>${words(task.heading)}</p>`)}
    <p class="quiet">${named} The rest of the agent’s words is no longer kept.</p>`,
    );
  return section(
    'task-title',
    'Task',
    html`${agentWords(renderTaskWords(said))}
    <p class="quiet">${named}</p>
    ${said.endsBy === undefined ? '' : html`<p>It is meant to end by ${moment(said.endsBy)}, and ends then.</p>`}
    <h3>Calls under its root before this one</h3>
    ${renderCalls(said.calls, now)}`,
  );
}

const agentWords = (content: Html): Html =>
  html`<figure class="agent-words">
      <figcaption>The agent’s own words. The gateway does not vouch for them.</figcaption>
      <blockquote>${content}</blockquote>
    </figure>`;

function renderTaskWords({ objective, plan, labels, prompt }: HeldTaskWords): Html {
  const steps = plan.map((step) => html`<li>${words(step)}</li>`);
  const tags = labels.map((label) => html`<span class="tag">${words(label)}</span> `);
  return html`<p>${block(objective)}</p>
    ${plan.length === 0 ? '' : html`<ol>${steps}</ol>`}
    ${labels.length === 0 ? '' : html`<p>${tags}</p>`}
    ${prompt === undefined ? '' : html`<details><summary>The prompt that the agent was given, as it says</summary>${block(prompt)}</details>`}`;
}

const DECISION_TAGS: Readonly<Record<TaskCall['decision'], string>> = { deny: 'bad', hold: 'warn', allow: '' };

export const decisionTag = (decision: TaskCall['decision']): Html =>
  html`<span class="tag ${DECISION_TAGS[decision]}">${decision}</span>`;

function renderCalls(calls: readonly TaskCall[], now: EpochMs): Html {
  if (calls.length === 0) return html`<p class="quiet">None: this is the first call of the task.</p>`;
  const row = ({ at, tool, method, path, upstream, decision, status }: TaskCall) =>
    html`<tr>
      <td>${ago(at, now)}</td>
      <td class="mono">${words(tool ?? `${method} ${path}`)} <span class="quiet">on ${upstream}</span></td>
      <td>${decisionTag(decision)}</td>
      <td>${status ?? ''}</td>
    </tr>`;
  return table('Earlier calls', ['When', 'Call', 'Decision', 'Status'], calls.map(row));
}

export function renderAgent({ hold: { principal }, background }: Grounds): Html {
  const { id, agentKey, spiffeId, name, person, client, issuer, onBehalfOf, owners } = principal;
  const party = ({ id: of, person }: Party) =>
    html`<li><span class="mono">${words(of)}</span>${person === undefined ? '' : html`, person ${words(person)}`}</li>`;
  const proof = html`${background.proof} of <span class="mono">${words(issuer)}</span>`;
  const chain =
    onBehalfOf.length === 0 ? 'nobody: it acts for itself' : html`<ol class="plain-list">${onBehalfOf.map(party)}</ol>`;
  const people = owners.length === 0 ? 'none registered' : html`${owners.map((owner) => html`${words(owner)} `)}`;
  return section(
    'agent-title',
    'Who asks',
    html`<dl class="facts">
      ${monoFact('Agent', words(id))}
      ${agentKey === undefined ? '' : monoFact('Counts as the agent', words(agentKey))}
      ${spiffeId === undefined ? '' : monoFact('Its workload', words(spiffeId))}
      ${name === undefined ? '' : fact('Name at its issuer', words(name))}
      ${person === undefined ? '' : fact('Person', words(person))}
      ${client === undefined ? '' : monoFact('Client', words(client))}
      ${fact('Proved by', proof)}
      ${fact('On behalf of', chain)}
      ${fact('Owners of the agent', people)}
    </dl>`,
  );
}

/** What the section on the grounds shows. */
export interface Grounds {
  readonly hold: Hold;
  readonly background: Background;
  /** The requirements as they stand now: after an escalation they name the second group too. */
  readonly requirements: readonly Requirement[];
}

export function renderGrounds({ hold, background, requirements }: Grounds): Html {
  const { endedBecause }: HoldProgress = hold;
  const once = html`<p class="quiet">One person counts for one of them only.</p>`;
  return section(
    'grounds-title',
    'Why it was held',
    html`<ul class="plain-list">${hold.rules.map((rule) => renderRule(rule, background))}</ul>
    <h3>What it takes</h3>
    <ul class="plain-list">${requirements.map(renderRequirement)}</ul>
    ${hold.requirements.length > 1 ? once : ''}
    <h3>Credential that would be minted</h3>
    ${renderCredential(hold.action.credential, background)}
    <dl class="facts">
      ${fact('Asked', moment(hold.createdAt))}
      ${fact('Decide before', moment(hold.deadline))}
      ${endedBecause === undefined ? '' : fact('Ended because', words(endedBecause))}
    </dl>`,
  );
}

function renderRule({ id, effect, why, maintainer }: Hold['rules'][number], background: Background): Html {
  const text = background.rule(id);
  const matches = text === undefined ? '' : html` <span class="mono quiet">${words(text)}</span>`;
  const kept = maintainer === undefined ? '' : html` ${words(maintainer)} keeps it.`;
  return html`<li><code>${words(id)}</code> says <strong>${effect}</strong>: ${WHY[why]}.${kept}${matches}</li>`;
}

function renderRequirement(requirement: Requirement): Html {
  const { tier, count, owner, reviewers, reasonRequired, bindSession, useWithinMs, escalate } = requirement;
  const role = owner ? 'the owners, ' : '';
  const people = html`${count === 1 ? 'one person' : `${count} people`} of ${role}${words(reviewers.join(', '))}`;
  const proof = assuranceWords(assuranceOf(requirement)).map((one) => `, with ${one}`);
  const reason = reasonRequired ? ', with a reason' : '';
  const use = `; once approved, to be used within ${duration(useWithinMs)}`;
  const later =
    escalate === undefined
      ? ''
      : html`. ${duration(escalate.afterMs)} after it was asked, also ${words(escalate.to.join(', '))}`;
  const session = bindSession ? ', in the session that asked' : '';
  return html`<li><strong>${tier}</strong>: ${people}${proof.join('')}${reason}${use}${session}${later}</li>`;
}

function renderCredential(credential: Hold['action']['credential'], background: Background): Html {
  if (credential === undefined) return html`<p class="quiet">None: the call goes out without one.</p>`;
  const { name, scope } = credential;
  const narrowed = Object.keys(scope).length === 0 ? 'not narrowed by a rule' : JSON.stringify(scope);
  const kind = background.credential === undefined ? '' : html` <span class="quiet">${background.credential}</span>`;
  return html`<dl class="facts">
      ${fact('Name', html`<code>${name}</code>${kind}`)}
      ${monoFact('Scope', words(narrowed))}
    </dl>
    <p class="quiet">
      It is put on the call only after the approval. Nobody can see it, not even the agent.</p>`;
}
