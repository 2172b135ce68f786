// The small pages: signing in, signed out, something refused, and the reviewer's passkeys.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Passkey } from '../../domain/passkey.ts';
import { ERRORS, type ErrorCode, type GatewayError } from '../../errors.ts';
import { ago, type Html, words } from './html.ts';
import { renderPage, type SignedIn } from './layout.ts';

export function renderWelcome(to: string, issuer: string): Html {
  return renderPage(
    { title: 'Sign in' },
    html`<section class="notice">
    <h1>Somebody has to decide</h1>
    <p>Agents’ risky calls wait here for people. Sign in to see the ones that name you.</p>
    <p><a class="button primary" href="/sign-in?to=${encodeURIComponent(to)}">Sign in</a></p>
    <p class="quiet">You sign in at ${new URL(issuer).host}.</p></section>`,
  );
}

export function renderSignedOut(forwardTo: string | undefined): Html {
  const [to, label] = forwardTo === undefined ? ['/', 'Sign in again'] : [forwardTo, 'Sign out at the issuer too'];
  return renderPage(
    { title: 'Signed out', ...(forwardTo !== undefined && { forwardTo }) },
    html`<section class="notice">
    <h1>Signed out</h1>
    <p>Your session at this console has ended.</p>
    <p><a class="button" href="${to}">${label}</a></p></section>`,
  );
}

/** What a person at the console can do. The remedies of the error table are for programs. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  reviewer_unauthenticated:
    'Sign in once more. If that fails too, tell the people who run this gateway the code below and the time: ' +
    'the log says more than this page may.',
  issuer_unavailable: 'Try again in a minute. The people who run this gateway find the reason in its log.',
  step_up_required: 'Sign in again from the page of the action, and decide within five minutes.',
  assurance_required: 'Sign in again from the page of the action, as it asks for, and then decide.',
  unsupported_media_type: 'Load the page again, and use its own form.',
  bad_request: 'Load the page again, and use its own form.',
  bad_vote: 'Load the page again, and use its own form.',
  stale_digest: 'Look at the action again: it is not the one that you decided on.',
};

export function renderRefusal(error: GatewayError, session: SignedIn | undefined, back: string): Html {
  const { title, remedy } = ERRORS[error.code];
  const signsIn = error.code === 'reviewer_unauthenticated';
  const check = error.details.members?.check;
  const way = signsIn
    ? html`<a class="button" href="/sign-in?to=${encodeURIComponent(back)}">Sign in again</a>`
    : html`<a class="button" href="${back}">${back === '/' ? 'To the inbox' : 'Look at it again'}</a>`;
  return renderPage(
    { title, ...(session && { session }) },
    html`<section class="notice">
    <h1>${title}</h1>
    <p>${words(error.detail)}</p>
    <p class="quiet">${ADVICE[error.code] ?? remedy}</p>
    <p>${way}</p>
    <p class="quiet">Code <code>${error.code}${typeof check === 'string' ? `/${check}` : ''}</code></p></section>`,
  );
}

export interface PasskeysPage {
  readonly session: SignedIn;
  readonly passkeys: readonly Passkey[];
  /** False where the console has no domain name. */
  readonly offered: boolean;
  readonly fresh: boolean;
  readonly now: EpochMs;
}

export function renderPasskeys({ session, passkeys, offered, fresh, now }: PasskeysPage): Html {
  const item = ({ id, label, createdAt }: Passkey) =>
    html`<li>
    <strong>${words(label)}</strong>
    <span class="quiet">added ${ago(createdAt, now)}</span>
    <form method="post" action="/passkeys/remove">
      <input type="hidden" name="csrf" value="${session.csrf}">
      <input type="hidden" name="id" value="${id}">
      <button class="small">Remove</button>
    </form></li>`;
  const list =
    passkeys.length === 0
      ? html`<p class="quiet">You have none yet.</p>`
      : html`<ul class="plain-list keys-list">${passkeys.map(item)}</ul>`;
  return renderPage(
    { title: 'Passkeys', session, current: 'passkeys', scripts: ['passkey.js'] },
    html`<section class="notice wide">
    <h1>Passkeys</h1>
    <p>
      With a passkey, one touch signs one decision on one exact action.
      The signature is kept with the vote, so that anybody can verify it later.</p>
    ${list}
    ${offered ? renderAdd(session, fresh) : NO_DOMAIN}</section>`,
  );
}

const NO_DOMAIN = html`<p class="why">Passkeys need a domain name, and this console is reached by an IP address.</p>`;

function renderAdd(session: SignedIn, fresh: boolean): Html {
  if (!fresh) {
    const signIn = html`<a class="button" href="/sign-in?fresh=1&amp;to=%2Fpasskeys">Sign in again</a>`;
    return html`<p>To add one, show first that it is you: ${signIn}</p>`;
  }
  return html`<form id="add-passkey" hidden>
      <input type="hidden" name="csrf" value="${session.csrf}">
      <label for="label">Name for the new passkey</label>
      <input id="label" name="label" maxlength="60" value="My passkey" required>
      <button class="primary">Add a passkey</button>
    </form>
    <noscript><p class="why">Adding a passkey needs JavaScript.</p></noscript>
    <p id="passkey-status" role="alert" class="why" hidden></p>`;
}
