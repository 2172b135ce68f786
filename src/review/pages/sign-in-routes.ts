// Signing in at the issuer and back, as routes: anybody may call them. Trusts sign-in.ts for what the issuer says, and
// the transaction's cookie for the browser that began.

import type { Context, Hono } from 'hono';
import { GatewayError } from '../../errors.ts';
import type { SignInTerms } from '../sign-in.ts';
import { type ConsoleEnv, type ConsoleParts, page, pathOf } from './console-parts.ts';
import { localPath } from './forms.ts';
import { renderSignedOut } from './small-pages.ts';

export function mountSignIn(app: Hono<ConsoleEnv>, { sessions, signIn, logoutHint, origin }: ConsoleParts): void {
  app.get('/sign-in', async (context) => {
    const { url, transaction } = await signIn.begin(localPath(context.req.query('to'), origin), termsOf(context));
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

/**
 * What the address asks for. It grants nothing, whoever wrote the address: a vote is judged by what the issuer then
 * says.
 */
function termsOf({ req }: Context<ConsoleEnv>): SignInTerms {
  const maxAge = req.query('fresh') === '1' ? '0' : req.query('max_age');
  const acr = (req.query('acr_values') ?? '')
    .split(' ')
    .filter((name) => /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(name));
  return {
    ...(maxAge !== undefined && /^\d{1,5}$/.test(maxAge) && { maxAgeMs: Number(maxAge) * 1000 }),
    ...(acr.length > 0 && { acr: acr.slice(0, 10) }),
  };
}
