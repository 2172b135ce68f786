// The console's routes: what a signed-in person may look at and do. The origin and the token of each form are checked
// before anything else. A vote takes the same path as a vote through the API. The headers allow the console's own
// scripts and styles and nothing else.

import { type Context, Hono } from 'hono';
import { asGatewayError, GatewayError } from '../../errors.ts';
import { loadInbox, readFilters } from '../inbox.ts';
import { reviewSpeedOf } from '../review-speed.ts';
import { findAsset } from './assets.ts';
import { type ConsoleEnv, type ConsoleParts, page, pathOf, readSessionForm } from './console-parts.ts';
import { mountControls } from './controls.ts';
import { localPath } from './forms.ts';
import { mountHolds } from './hold-routes.ts';
import { renderInbox } from './inbox-page.ts';
import { mountPasskeys } from './passkey-routes.ts';
import { mountSignIn } from './sign-in-routes.ts';
import { renderRefusal, renderSignedOut, renderWelcome } from './small-pages.ts';
import { mountTasks } from './task-routes.ts';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  // Not no-referrer: browsers would then send `Origin: null` even to this console.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy':
    'camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)',
} as const;

export function createConsole(parts: ConsoleParts): Hono<ConsoleEnv> {
  const { sessions, holds, eligibility, origin } = parts;
  const app = new Hono<ConsoleEnv>();

  app.onError((thrown, context) => {
    const error = asGatewayError(thrown);
    if (context.req.path.startsWith('/sign-in')) parts.onSignInRefused(error);
    else if (error.status >= 500) parts.onFault(error);
    if (context.req.header('accept') === 'application/json')
      return context.json({ code: error.code, detail: error.detail }, error.status as 400);
    const back = /^\/holds\/[\w-]+/.exec(context.req.path)?.[0];
    const back404 = error.code === 'hold_not_found' || back === undefined ? '/' : back;
    return context.html(renderRefusal(error, context.var.session, back404) as Promise<string>, error.status as 400);
  });
  app.notFound(() => {
    throw new GatewayError('not_found', 'There is no such page at this console.');
  });

  app.get('/assets/:name', (context) => {
    const asset = findAsset(context.req.param('name'));
    if (asset === undefined) return context.notFound();
    return context.body(asset.bytes, 200, { 'content-type': asset.type, etag: `"${asset.version}"` });
  });
  // Sessions, sign-in and passkeys belong to one origin: a browser that uses another name of this console is redirected
  // there.
  app.get('*', async (context, next) =>
    context.req.header('host') === new URL(origin).host ? next() : context.redirect(origin + pathOf(context), 302),
  );
  mountSignIn(app, parts);

  app.use(async (context, next) => {
    const session = await sessions.read(context.req.header('cookie'));
    if (session === undefined) return refuseStranger(context, parts);
    context.set('session', { ...session, powers: parts.operations.powersOf(session.reviewer) });
    await next();
    // Requests that a page makes by itself must not keep a session alive when nobody is there.
    const byItself = context.req.header('x-countersign-by-itself') !== undefined || context.req.path === '/events';
    const renewed = byItself || context.req.path === '/sign-out' ? undefined : sessions.renew(session);
    if (renewed !== undefined) context.header('set-cookie', renewed, { append: true });
  });

  app.get('/', async (context) => {
    const { session } = context.var;
    const inbox = await loadInbox(
      holds,
      eligibility,
      session.reviewer,
      readFilters(new URL(context.req.url).searchParams),
    );
    const speed = await reviewSpeedOf(holds, session.reviewer);
    return page(context, renderInbox(inbox, session, speed, parts.isNamedAnywhere(session.reviewer)));
  });

  app.get('/events', (context) => {
    const { session } = context.var;
    const stream = parts.events.open(session.reviewer, sessions.endsAt(session));
    return context.body(stream, 200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  });

  app.post('/sign-out', async (context) => {
    await readSessionForm(context, parts);
    const { session } = context.var;
    const forwardTo = await parts.signIn.signOutUrl(
      parts.logoutHint.read(context.req.header('cookie'), session.reviewer),
    );
    context.header('set-cookie', await sessions.end(session), { append: true });
    context.header('set-cookie', parts.logoutHint.drop, { append: true });
    return page(context, renderSignedOut(forwardTo));
  });

  mountHolds(app, parts);
  mountTasks(app, parts);
  mountControls(app, parts);
  mountPasskeys(app, parts);
  return app;
}

function refuseStranger(context: Context<ConsoleEnv>, { issuer, origin }: ConsoleParts): Response | Promise<Response> {
  if (context.req.method !== 'GET' || context.req.path === '/events')
    throw new GatewayError('reviewer_unauthenticated', 'Your session has ended: sign in again.');
  return page(context, renderWelcome(localPath(pathOf(context), origin), issuer), 401);
}
