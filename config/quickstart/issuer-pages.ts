// The few pages of the local issuer: enter the code of a device, confirm it, choose who you are, done.
// For the quickstart only: whoever opens the page may be anybody. Text from requests is escaped; there are no scripts.

import type { Context } from 'oidc-provider';

/** Who can sign in at the local issuer. */
export const USERS: Readonly<Record<string, { readonly name: string; readonly groups: readonly string[] }>> = {
  alice: { name: 'Alice Archer', groups: ['finance'] },
  bob: { name: 'Bob Baker', groups: ['finance'] },
  mallory: { name: 'Mallory Moss', groups: [] },
};

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}button,input{font:inherit;padding:.5rem 1rem;margin:.25rem .25rem .25rem 0}code{font-size:1.5rem}</style>
</head><body><h1>${escapeHtml(title)}</h1>${body}</body></html>`;
}

export function renderCodeInput(ctx: Context, form: string, _out: unknown, fault?: Error): void {
  const note =
    fault === undefined
      ? 'Enter the code that your terminal shows.'
      : 'That code is not known, used up or too old. Enter the one that your terminal shows.';
  ctx.body = page(
    'Sign in to a device',
    `<p>${note}</p>${form}<button type="submit" form="op.deviceInputForm">Continue</button>`,
  );
}

export function renderCodeConfirm(
  ctx: Context,
  form: string,
  client: { clientName?: string; clientId: string },
  _device: unknown,
  userCode: string,
): void {
  const name = escapeHtml(client.clientName ?? client.clientId);
  ctx.body = page(
    'Is this your code?',
    `<p>${name} asks to sign in. It shows this code:</p><p><code>${escapeHtml(userCode)}</code></p>${form}
<button type="submit" form="op.deviceConfirmForm">It is, continue</button><button type="submit" form="op.deviceConfirmForm" value="yes" name="abort">It is not</button>`,
  );
}

export function renderSuccess(ctx: Context): void {
  ctx.body = page('Signed in', '<p>Go back to your terminal.</p>');
}

export function renderSignOut(ctx: Context, form: string): void {
  ctx.body = page(
    'Sign out here, too?',
    `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Yes, sign out</button><button type="submit" form="op.logoutForm">No</button>`,
  );
}

export function renderSignedOut(ctx: Context): void {
  ctx.body = page('Signed out', '<p>You can close this page.</p>');
}

export function renderError(ctx: Context, out: { readonly error: string; readonly error_description?: string }): void {
  ctx.type = 'html';
  ctx.body = page('That did not work', `<p>${escapeHtml(out.error)}: ${escapeHtml(out.error_description ?? '')}</p>`);
}

/** The sign-in itself: a button per user, no password. */
export function renderSignIn(action: string): string {
  const buttons = Object.entries(USERS).map(([id, { name, groups }]) => {
    const standing = groups.length > 0 ? `group ${groups.join(', ')}` : 'no group';
    return `<p><button type="submit" name="user" value="${id}">${escapeHtml(name)}</button> ${standing}</p>`;
  });
  return page(
    'Who are you?',
    `<p>This issuer is for trying Countersign out: it asks for no password.</p><form method="post" action="${escapeHtml(action)}">${buttons.join('')}</form>`,
  );
}
