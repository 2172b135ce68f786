// Human on the loop: calls that passed unasked and that a rule wants people to look at, newest first, grouped by task.
// Shows names and rules, never arguments. The only thing to do here is to end a task, in two steps.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { WatchedCall } from '../interventions.ts';
import { ago, alert, type Html, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';

export interface WatchPageOptions {
  readonly passed: readonly WatchedCall[];
  readonly next?: string;
  readonly session: SignedIn;
  readonly now: EpochMs;
  readonly done?: string;
}

const DONE: Readonly<Record<string, string>> = {
  ended: 'The task is ended. What waited or was approved under it is revoked, and its further calls are refused.',
  later: 'The task is ended. An issuer could not be told yet to take back a credential; it is tried again.',
};

export function renderWatch({ passed, next, session, now, done }: WatchPageOptions): Html {
  const said = done === undefined ? undefined : DONE[done];
  return renderPage(
    { title: 'Passed', session, current: 'watch' },
    html`<div class="head">
      <h1>Passed without asking</h1>
      <p class="quiet">Newest first. Rules let these calls through, or denied them, and want them looked at.</p>
    </div>
    ${said === undefined ? '' : alert(said, done === 'later' ? 'bad' : 'good')}
    ${passed.length === 0 ? NOTHING : ''}
    ${byTask(passed).map((calls, index) => renderGroup(calls, index, session, now))}
    ${next === undefined ? '' : renderOlder(next)}`,
  );
}

const renderOlder = (next: string): Html =>
  html`<p><a class="button" href="/watch?after=${encodeURIComponent(next)}">Older</a></p>`;

const NOTHING = html`<div class="empty">
      <h2>Nothing to look at</h2>
      <p>Calls that a rule with <code>notify</code> lets pass are listed here.</p>
    </div>`;

/** Runs of neighbours of the same task; the order stays. */
function byTask(passed: readonly WatchedCall[]): readonly (readonly [WatchedCall, ...WatchedCall[]])[] {
  const groups: [WatchedCall, ...WatchedCall[]][] = [];
  for (const one of passed) {
    const last = groups.at(-1);
    if (last !== undefined && last[0].call.task?.id === one.call.task?.id) last.push(one);
    else groups.push([one]);
  }
  return groups;
}

function renderGroup(
  calls: readonly [WatchedCall, ...WatchedCall[]],
  index: number,
  session: SignedIn,
  now: EpochMs,
): Html {
  const [{ call, taskOpen }] = calls;
  const { task } = call;
  const title =
    task === undefined
      ? html`<h2 class="group">Without a task</h2>`
      : html`<h2 class="group">
      <span class="label">Task, in the agent’s words</span>
      <q>${words(task.objective)}</q>
      ${taskOpen ? '' : html`<span class="tag">ended</span>`}</h2>`;
  return html`<section>
    ${title}
    <ul class="list">${calls.map((one) => renderCall(one, session, now))}</ul>
    ${task !== undefined && taskOpen ? renderRevoke(task.id, index, session) : ''}</section>`;
}

function renderCall({ call }: WatchedCall, { powers }: SignedIn, now: EpochMs): Html {
  const { principalId, agentKey = principalId, onBehalfOf } = call;
  const users = onBehalfOf.length === 0 ? '' : html` for ${words(onBehalfOf.join(', '))}`;
  const suspend = `/suspensions?principal=${encodeURIComponent(agentKey)}#suspend`;
  const stop = html` · <a href="${suspend}">Suspend this agent…</a>`;
  const outcome = call.outcome ?? 'passed';
  const who = html`<span class="mono">${words(principalId)}</span>${users}, ${outcome} ${ago(call.at, now)}`;
  return html`<li class="card" data-passed="${call.id}">
    <span class="card-what mono">
      ${words(call.tool ?? `${call.method} ${call.path}`)}
      <span class="quiet">on ${words(call.upstream)}</span>
    </span>
    <span class="card-who">${who}${powers.killSwitch ? stop : ''}</span>
    <span class="card-tags">
      ${call.outcome === undefined ? '' : html`<span class="tag bad">${outcome}</span>`}
      ${call.rules.map((rule) => html`<span class="tag">${words(rule)}</span>`)}
      ${call.data === undefined ? '' : html`<span class="tag warn">${words(call.data)}</span>`}
      ${call.reversible === false ? html`<span class="tag bad">cannot be undone</span>` : ''}
    </span></li>`;
}

/** The form that ends a task, on any page; `index` tells the forms of one page apart. */
export function renderRevoke(task: string, index: number, session: SignedIn): Html {
  return html`<details class="fold">
    <summary>Revoke this task</summary>
    <form method="post" action="/watch/confirm" class="decision">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="task" value="${task}">
      <label for="reason-${index}">Reason <span class="quiet">(kept in the record)</span></label>
      <textarea id="reason-${index}" name="reason" rows="2" maxlength="2000" required></textarea>
      <div class="buttons"><button class="deny">Revoke task…</button></div>
    </form></details>`;
}

export function confirmRevoke(task: string, objective: string | undefined, reason: string, session: SignedIn): Html {
  const said = objective === undefined ? '' : html`, in the agent’s words: <q>${words(objective)}</q>`;
  return renderPage(
    { title: 'Revoke this task?', session, current: 'watch' },
    html`<section class="confirm deny" aria-labelledby="confirm-title">
    <h1 id="confirm-title">Revoke this task?</h1>
    <blockquote class="action"><p>Task <code>${words(task)}</code>${said}</p></blockquote>
    <p>Your reason: <q>${words(reason)}</q></p>
    <p>
      What waits or is approved under it is revoked, its credentials are taken back,
      and its further calls are refused. A task cannot be opened again.</p>
    <form method="post" action="/watch/revoke">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="task" value="${task}">
      <input type="hidden" name="reason" value="${reason}">
      <div class="buttons">
        <button class="deny" id="confirm">Revoke it now</button>
        <a class="button" href="/watch">Go back</a>
      </div>
    </form></section>`,
  );
}
