// The frame of every page: head, header, one main region. No inline script or style, nothing from other hosts.

import { html } from 'hono/html';
import type { Powers } from '../interventions.ts';
import type { Session } from '../session.ts';
import { assetUrl } from './assets.ts';
import { type Html, words } from './html.ts';

/** The signed-in person, and what they may do besides voting: pages offer nothing else. */
export interface SignedIn extends Session {
  readonly powers: Powers;
}

export interface Frame {
  readonly title: string;
  readonly session?: SignedIn;
  readonly current?: 'inbox' | 'watch' | 'suspensions' | 'passkeys';
  /** Names of scripts under assets/, besides console.js. */
  readonly scripts?: readonly string[];
  /** The page goes on to this address by itself. */
  readonly forwardTo?: string;
}

const MARK = html`<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false"
  fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round">
  <path d="M4 4h16v11a5 5 0 0 1-5 5H4z"/>
  <path d="m8 11.5 3 3 5.5-6" stroke-linecap="round"/>
</svg>`;

const STYLES = ['console.css', 'controls.css', 'inbox.css', 'hold.css', 'task.css'].map(
  (name) => html`<link rel="stylesheet" href="${assetUrl(name)}">`,
);

export function renderPage({ title, session, current, scripts = [], forwardTo }: Frame, main: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${forwardTo === undefined ? '' : html`<meta http-equiv="refresh" content="0; url=${forwardTo}">`}
<title>${title} · Countersign</title>
<link rel="icon" href="${assetUrl('icon.svg')}" type="image/svg+xml">
${STYLES}
<script src="${assetUrl('console.js')}" defer></script>
${scripts.map((name) => html`<script src="${assetUrl(name)}" defer></script>`)}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar">
<a class="brand" href="/">${MARK}<span>Countersign</span></a>
${session === undefined ? '' : renderWho(session, current)}
</header>
<p id="banner" class="banner" role="status" hidden></p>
<main id="main" tabindex="-1">${main}</main>
</body>
</html>`;
}

function renderWho({ reviewer, csrf, powers }: SignedIn, current: Frame['current']): Html {
  const here = (name: Frame['current']) => (name === current ? html`aria-current="page"` : '');
  return html`<nav aria-label="Console">
  <a href="/" ${here('inbox')}>Inbox</a>
  ${powers.watch ? html`<a href="/watch" ${here('watch')}>Passed</a>` : ''}
  ${powers.killSwitch ? html`<a href="/suspensions" ${here('suspensions')}>Suspensions</a>` : ''}
  <a href="/passkeys" ${here('passkeys')}>Passkeys</a>
</nav>
<div class="who-am-i">
  <span class="me" title="${reviewer.id}">${words(reviewer.name ?? reviewer.subject)}</span>
  <form method="post" action="/sign-out">
    <input type="hidden" name="csrf" value="${csrf}">
    <button class="plain" type="submit">Sign out</button>
  </form>
</div>`;
}
