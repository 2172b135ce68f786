// The kill switch: what is suspended, by whom and why, a form to suspend, and a button to lift. Both ask once more
// before anything happens.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import { agentKeyOf } from '../../domain/person.ts';
import type { Suspended, Suspension } from '../../domain/suspension.ts';
import type { SuspensionBody } from '../bodies.ts';
import { ago, alert, block, duration, type Html, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';

export interface SuspensionsPage {
  readonly suspensions: readonly Suspension[];
  /** What the form contains at first. */
  readonly chosen: { readonly kind: SuspendedKind; readonly name: string };
  readonly session: SignedIn;
  readonly now: EpochMs;
  readonly done?: string;
}

/** The members of a suspension's body. */
export type SuspendedKind = Suspended extends infer One ? (One extends unknown ? keyof One : never) : never;

const KINDS: Readonly<Record<SuspendedKind, string>> = {
  principal: 'An agent, or a user that agents act for',
  person: 'A person, by any of their names',
  task: 'A task, and every task below it',
  upstream: 'An upstream',
  trustDomain: 'A trust domain',
  everything: 'Everything: every call of every agent',
};

export const isSuspendedKind = (text: string): text is SuspendedKind => Object.hasOwn(KINDS, text);

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
  const option = ([value, label]: readonly [string, string]) =>
    html`<option value="${value}" ${value === kind ? 'selected' : ''}>${label}</option>`;
  return html`<form method="post" action="/suspensions/confirm" class="decision">
    <input type="hidden" name="csrf" value="${session.csrf}">
    <label for="kind">What</label>
    <select id="kind" name="kind">${Object.entries(KINDS).map(option)}</select>
    <label for="name">Its id, as holds show it <span class="quiet">(empty for everything)</span></label>
    <input id="name" name="name" maxlength="2000" autocomplete="off" spellcheck="false" value="${name}">
    <label for="for">For how long <span class="quiet">(like 1h; empty: until somebody lifts it)</span></label>
    <input id="for" name="for" maxlength="12" autocomplete="off" pattern="[0-9]+(s|m|h|d)">
    <label for="reason">Reason <span class="quiet">(kept in the record)</span></label>
    <textarea id="reason" name="reason" rows="3" maxlength="2000" required></textarea>
    <div class="buttons"><button class="deny">Suspend…</button></div>
    <p class="quiet">The next step asks once more.</p>
  </form>`;
}

function named(what: Suspended): Html {
  if ('task' in what) return html`Task <code>${words(what.task)}</code>`;
  if ('person' in what) return html`Person <span class="mono">${words(what.person)}</span>`;
  if ('trustDomain' in what) return html`Trust domain <span class="mono">${words(what.trustDomain)}</span>`;
  if ('upstream' in what) return html`Upstream <span class="mono">${words(what.upstream)}</span>`;
  if ('everything' in what) return html`<strong>Everything</strong>`;
  return html`Agent or user <span class="mono">${words(what.principal)}</span>`;
}

/** The kind and the name, as the form sends them. */
function fieldsOf(what: Suspended): readonly [string, string] {
  const [[kind, name] = ['', '']] = Object.entries(what);
  return [kind, name === true ? '' : String(name)];
}

function renderSuspension(suspension: Suspension, session: SignedIn, now: EpochMs): Html {
  const { id, by, at, reason, until } = suspension;
  const end = until === undefined ? '' : html`; it ends by itself in ${duration(until - now)}`;
  return html`<li data-suspension="${id}">
    ${named(suspension)}
    <blockquote>${block(reason)}</blockquote>
    <p class="quiet">by <span class="mono">${words(by)}</span>, ${ago(at, now)}${end}</p>
    <form method="post" action="/suspensions/${id}/confirm">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <button class="small">Lift…</button>
    </form></li>`;
}

export function confirmSuspend({ what, reason, forMs }: SuspensionBody, session: SignedIn): Html {
  const [kind, name] = fieldsOf(what);
  const end =
    forMs === undefined ? 'until somebody lifts this' : `for ${duration(forMs)}, or until somebody lifts this`;
  return renderPage(
    { title: 'Suspend this?', session, current: 'suspensions' },
    html`<section class="confirm deny" aria-labelledby="confirm-title">
    <h1 id="confirm-title">Suspend this?</h1>
    <blockquote class="action"><p>${named(what)}</p></blockquote>
    <p>Your reason: <q>${words(reason)}</q></p>
    <p>
      What waits or is approved under it is revoked, its credentials are taken back,
      and every further call is refused ${end}.</p>
    <form method="post" action="/suspensions">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="kind" value="${kind}">
      <input type="hidden" name="name" value="${name}">
      <input type="hidden" name="reason" value="${reason}">
      <input type="hidden" name="for" value="${forMs === undefined ? '' : `${forMs / 1000}s`}">
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
  const [person] = principal.onBehalfOf;
  const link = (kind: string, id: string, label: string) =>
    html`<a class="button" href="/suspensions?${kind}=${encodeURIComponent(id)}#suspend">${label}</a>`;
  return html`<section aria-labelledby="stop-title">
    <h2 id="stop-title">Stop it altogether</h2>
    <div class="buttons">
      ${link('principal', agentKeyOf(principal), 'Suspend this agent…')}
      ${person === undefined ? '' : link('person', person.person ?? person.id, 'Suspend the person it acts for…')}
      ${task === undefined ? '' : link('task', task.id, 'Suspend this task…')}
    </div></section>`;
}
