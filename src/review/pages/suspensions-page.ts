// The kill switch: what is suspended, by whom and why, a form to suspend, and a button to lift. Both ask once more
// before anything happens.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Suspended, Suspension } from '../../domain/suspension.ts';
import type { SuspensionBody } from '../bodies.ts';
import { ago, alert, block, type Html, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';

export interface SuspensionsPage {
  readonly suspensions: readonly Suspension[];
  /** What the form contains at first. */
  readonly chosen: { readonly kind: 'principal' | 'task'; readonly name: string };
  readonly session: SignedIn;
  readonly now: EpochMs;
  readonly done?: string;
}

const LATER = 'An issuer could not be told yet to take back a credential; it is tried again.';
const DONE: Readonly<Record<string, string>> = {
  suspended: 'It is suspended. What waited or was approved is revoked, and its calls are refused.',
  already: 'It was suspended already; the earlier reason stands.',
  later: `It is suspended. ${LATER}`,
  lifted: 'It is lifted. New calls go through again; what was revoked stays revoked.',
};

export function renderSuspensions({ suspensions, chosen, session, now, done }: SuspensionsPage): Html {
  const said = done === undefined ? undefined : DONE[done];
  return renderPage(
    { title: 'Suspensions', session, current: 'suspensions' },
    html`<div class="head"><h1>Suspensions</h1></div>
    ${said === undefined ? '' : alert(said, done === 'later' ? 'bad' : 'good')}
    <div class="columns">
      <div class="what">
        <section aria-labelledby="in-force">
          <h2 id="in-force">In force</h2>
          ${renderInForce(suspensions, session, now)}
        </section>
      </div>
      <div class="decide">
        <section class="panel" id="suspend" aria-labelledby="suspend-title">
          <h2 id="suspend-title">Suspend</h2>
          ${renderForm(chosen, session)}
        </section>
      </div>
    </div>`,
  );
}

function renderInForce(suspensions: readonly Suspension[], session: SignedIn, now: EpochMs): Html {
  if (suspensions.length === 0) return html`<p class="quiet">Nobody and nothing is suspended.</p>`;
  return html`<ul class="plain-list">${suspensions.map((one) => renderSuspension(one, session, now))}</ul>`;
}

function renderForm({ kind, name }: SuspensionsPage['chosen'], session: SignedIn): Html {
  const option = (value: typeof kind, label: string) =>
    html`<option value="${value}" ${value === kind ? 'selected' : ''}>${label}</option>`;
  return html`<form method="post" action="/suspensions/confirm" class="decision">
    <input type="hidden" name="csrf" value="${session.csrf}">
    <label for="kind">What</label>
    <select id="kind" name="kind">
      ${option('principal', 'An agent, or a user that agents act for')}
      ${option('task', 'A task')}
    </select>
    <label for="name">Its id, as holds show it</label>
    <input id="name" name="name" required maxlength="2000" autocomplete="off" spellcheck="false" value="${name}">
    <label for="reason">Reason <span class="quiet">(kept in the record)</span></label>
    <textarea id="reason" name="reason" rows="3" maxlength="2000" required></textarea>
    <div class="buttons"><button class="deny">Suspend…</button></div>
    <p class="quiet">The next step asks once more.</p>
  </form>`;
}

const named = (what: Suspended): Html =>
  'task' in what
    ? html`Task <code>${words(what.task)}</code>`
    : html`Agent or user <span class="mono">${words(what.principal)}</span>`;

function renderSuspension(suspension: Suspension, session: SignedIn, now: EpochMs): Html {
  const { id, by, at, reason } = suspension;
  return html`<li data-suspension="${id}">
    ${named(suspension)}
    <blockquote>${block(reason)}</blockquote>
    <p class="quiet">by <span class="mono">${words(by)}</span>, ${ago(at, now)}</p>
    <form method="post" action="/suspensions/${id}/confirm">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <button class="small">Lift…</button>
    </form></li>`;
}

export function confirmSuspend({ what, reason }: SuspensionBody, session: SignedIn): Html {
  const [kind, name] = 'task' in what ? ['task', what.task] : ['principal', what.principal];
  return renderPage(
    { title: 'Suspend this?', session, current: 'suspensions' },
    html`<section class="confirm deny" aria-labelledby="confirm-title">
    <h1 id="confirm-title">Suspend this?</h1>
    <blockquote class="action"><p>${named(what)}</p></blockquote>
    <p>Your reason: <q>${words(reason)}</q></p>
    <p>
      What waits or is approved under it is revoked, its credentials are taken back,
      and every further call is refused until somebody lifts this.</p>
    <form method="post" action="/suspensions">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="kind" value="${kind}">
      <input type="hidden" name="name" value="${name}">
      <input type="hidden" name="reason" value="${reason}">
      <div class="buttons">
        <button class="deny" id="confirm">Suspend it now</button>
        <a class="button" href="/suspensions">Go back</a>
      </div>
    </form></section>`,
  );
}

export function confirmLift(suspension: Suspension, session: SignedIn): Html {
  return renderPage(
    { title: 'Lift this?', session, current: 'suspensions' },
    html`<section class="confirm" aria-labelledby="confirm-title">
    <h1 id="confirm-title">Lift this?</h1>
    <blockquote class="action"><p>${named(suspension)}</p></blockquote>
    <p>It was suspended because: <q>${words(suspension.reason)}</q></p>
    <p>New calls go through again. What was revoked stays revoked.</p>
    <form method="post" action="/suspensions/${suspension.id}/lift">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <div class="buttons">
        <button class="primary" id="confirm">Lift it</button>
        <a class="button" href="/suspensions">Go back</a>
      </div>
    </form></section>`,
  );
}

/** On a hold's page, for people with the power. */
export function renderStop({ principal, task }: Hold, { powers }: SignedIn): Html | string {
  if (!powers.killSwitch) return '';
  const link = (kind: string, id: string, label: string) =>
    html`<a class="button" href="/suspensions?${kind}=${encodeURIComponent(id)}#suspend">${label}</a>`;
  return html`<section aria-labelledby="stop-title">
    <h2 id="stop-title">Stop it altogether</h2>
    <div class="buttons">
      ${link('principal', principal.id, 'Suspend this agent…')}
      ${task === undefined ? '' : link('task', task.id, 'Suspend this task…')}
    </div></section>`;
}
