// Signing in at the issuer and back, as routes: anybody may call them. Trusts sign-in.ts for what the issuer says, and
// the transaction's cookie for the browser that began.

import type { Hono } from 'hono';
import { GatewayError } from '../../errors.ts';
import { type ConsoleEnv, type ConsoleParts, page, pathOf } from './console-parts.ts';
import { localPath } from './forms.ts';
import { renderSignedOut } from './small-pages.ts';

export function mountSignIn(app: Hono<ConsoleEnv>, { sessions, signIn, logoutHint, origin }: ConsoleParts): void {
  app.get('/sign-in', async (context) => {
    const { url, transaction } = await signIn.begin(
      localPath(context.req.query('to'), origin),
      context.req.query('fresh') === '1',
    );
    context.header('set-cookie', sessions.startTransaction(transaction));
    return context.redirect(url, 303);
  });
  app.get('/sign-in/callback', async (context) => {
    const kept = sessions.readTransaction(context.req.header('cookie'));
    if (kept === undefined) {
      const detail = 'This sign-in was not started in this browser, or took too long: start it again.';
      throw new GatewayError('reviewer_unauthenticated', detail, { members: { check: 'transaction' } });
    }
    const { reviewer, to, idToken } = await signIn.finish(new URL(pathOf(context), origin), kept);
    // The person who was signed in here before is signed out: one browser, one person.
    await sessions.end(await sessions.read(context.req.header('cookie')));
    context.header('set-cookie', sessions.endTransaction, { append: true });
    context.header('set-cookie', sessions.start(reviewer), { append: true });
    context.header('set-cookie', logoutHint.keep(reviewer, idToken) ?? logoutHint.drop, { append: true });
    return context.redirect(to, 303);
  });
  app.get('/signed-out', (context) => page(context, renderSignedOut(undefined)));
}
