// The pages as routes: what a signed-in person may look at and do. Each form is checked (origin and token) before
// anything else; a vote goes the same way as one of the API. Headers allow the console's own scripts and styles and
// nothing else.

import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Approvals } from '../../domain/approvals.ts';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Passkey } from '../../domain/passkey.ts';
import type { Reviewer } from '../../domain/reviewer.ts';
import { asGatewayError, GatewayError } from '../../errors.ts';
import type { EventStreams } from '../events.ts';
import { loadHistory } from '../history.ts';
import { loadInbox, readFilters } from '../inbox.ts';
import type { InterventionParts } from '../interventions.ts';
import type { LogoutHint } from '../logout-hint.ts';
import type { Passkeys } from '../passkeys.ts';
import { type Eligibility, isNamed, permissionsOf } from '../permissions.ts';
import { reviewSpeedOf } from '../review-speed.ts';
import type { Sessions } from '../session.ts';
import type { BrowserSignIn } from '../sign-in.ts';
import { type SimilarParts, similarTo } from '../similar.ts';
import { type Shown, showAction } from './arguments.ts';
import { findAsset } from './assets.ts';
import { mountControls } from './controls.ts';
import { type Choice, type DecisionPanel, renderConfirmation } from './decision-panel.ts';
import { type FormFields, localPath, readForm } from './forms.ts';
import { type Background, renderHold } from './hold-page.ts';
import type { Html } from './html.ts';
import { renderInbox } from './inbox-page.ts';
import type { SignedIn } from './layout.ts';
import { renderPasskeys, renderRefusal, renderSignedOut, renderWelcome } from './small-pages.ts';

export interface ConsoleOptions {
  /** The reviewers' origin. */
  readonly origin: string;
  readonly issuer: string;
  readonly sessions: Sessions;
  readonly signIn: BrowserSignIn;
  readonly logoutHint: LogoutHint;
  /** Told of every sign-in that did not succeed. */
  onSignInRefused(error: GatewayError): void;
  /** Whether anything in the configuration in force names this person. */
  isNamedAnywhere(reviewer: Reviewer): boolean;
  /** Absent where the console has no domain name. */
  readonly passkeys?: Passkeys;
  /** Step-up: whether a sign-in at this time is recent enough. */
  isFresh(authenticatedAt: EpochMs | undefined, now: EpochMs): boolean;
  background(hold: Hold): Background;
  /** Puts on record that a passkey was added or removed. Throws `audit_unavailable`: nothing is done then. */
  recordPasskey(event: 'added' | 'removed', reviewer: Reviewer, passkey: Pick<Passkey, 'id'>): Promise<void>;
}

export interface ConsoleParts extends ConsoleOptions, SimilarParts {
  readonly approvals: Pick<Approvals, 'vote' | 'revoke' | 'opened'>;
  readonly operations: InterventionParts;
  readonly eligibility: Eligibility;
  readonly events: EventStreams;
  onFault(error: GatewayError): void;
}

export type ConsoleEnv = { Bindings: HttpBindings; Variables: { session: SignedIn } };

export const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  // Not no-referrer: with that, browsers say `Origin: null` even to ourselves.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy':
    'camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)',
} as const;

export function createConsole(parts: ConsoleParts): Hono<ConsoleEnv> {
  const { sessions, passkeys, holds, eligibility, approvals, origin } = parts;
  const app = new Hono<ConsoleEnv>();
  const page = (context: Context<ConsoleEnv>, content: Html, status: 200 | 401 = 200) =>
    context.html(content as Promise<string>, status);

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
  // Sessions, sign-in and passkeys belong to one origin: who comes by another name of ours is sent there.
  app.get('*', async (context, next) =>
    context.req.header('host') === new URL(origin).host ? next() : context.redirect(origin + pathOf(context), 302),
  );
  mountSignIn(app, parts);

  app.use(async (context, next) => {
    const session = await sessions.read(context.req.header('cookie'));
    if (session === undefined) return refuseStranger(context, parts);
    context.set('session', { ...session, powers: parts.operations.powersOf(session.reviewer) });
    await next();
    // What a page does by itself must not keep a session alive that nobody sits at.
    const byItself = context.req.header('x-countersign-by-itself') !== undefined || context.req.path === '/events';
    const renewed = byItself || context.req.path === '/sign-out' ? undefined : sessions.renew(session);
    if (renewed !== undefined) context.header('set-cookie', renewed, { append: true });
  });

  async function find(context: Context<ConsoleEnv>): Promise<Hold> {
    const hold = await holds.get(context.req.param('id') ?? '');
    if (hold === undefined || !isNamed(eligibility, hold, context.var.session.reviewer)) {
      throw new GatewayError('hold_not_found', 'There is no such hold for you to review.');
    }
    return hold;
  }

  async function panelOf(hold: Hold, { reviewer }: SignedIn, { fault }: Shown, done?: string): Promise<DecisionPanel> {
    const now = holds.now();
    const tiers = eligibility
      .requirementsOf(hold)
      .filter((requirement) => eligibility.isEligible(requirement, reviewer));
    return {
      permissions: permissionsOf(eligibility, hold, reviewer, now),
      stepUp: tiers.some((tier) => tier.stepUp),
      reasonRequired: tiers.some((tier) => tier.reasonRequired),
      fresh: parts.isFresh(reviewer.authenticatedAt, now),
      passkeys: (await passkeys?.of(reviewer))?.length ?? 0,
      ...(fault !== undefined && { fault }),
      ...(done !== undefined && { done }),
    };
  }

  async function form(context: Context<ConsoleEnv>): Promise<FormFields> {
    const fields = await readForm(context.req.raw);
    sessions.checkForm({ origin: context.req.header('origin'), csrf: fields.get('csrf') }, context.var.session);
    return fields;
  }

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

  app.get('/holds/:id', async (context) => {
    const { session } = context.var;
    const hold = await find(context);
    approvals.opened(hold.id, session.reviewer);
    const similar = await similarTo(parts, hold);
    const history = await loadHistory(holds, eligibility, session.reviewer, hold);
    const content = (await holds.content(hold.id)) ?? {};
    const shown = showAction(hold, content);
    const panel = await panelOf(hold, session, shown, context.req.query('done'));
    return page(
      context,
      renderHold({
        hold,
        content,
        session,
        history,
        similar,
        panel,
        shown,
        requirements: eligibility.requirementsOf(hold),
        background: parts.background(hold),
        now: holds.now(),
      }),
    );
  });

  app.post('/holds/:id/confirm', async (context) => {
    const { session } = context.var;
    const fields = await form(context);
    const hold = await find(context);
    const choice = readChoice(fields);
    refuseStale(hold, fields);
    const panel = await panelOf(hold, session, showAction(hold, await holds.content(hold.id)));
    const reason = (fields.get('reason') ?? '').trim();
    if (choice !== 'withdraw') refuseEarly(hold, choice, reason, panel);
    return page(context, renderConfirmation({ hold, choice, reason, panel, session, now: holds.now() }));
  });

  app.post('/holds/:id/vote', async (context) => {
    const { reviewer } = context.var.session;
    const fields = await form(context);
    const hold = await find(context);
    const choice = readChoice(fields);
    if (choice === 'withdraw') throw new GatewayError('bad_vote', 'A vote approves or denies.');
    const { fault } = showAction(hold, await holds.content(hold.id));
    if (choice === 'approve' && fault !== undefined)
      throw new GatewayError('bad_vote', `What cannot be shown whole is not approved. ${fault}`);
    const bindingDigest = fields.get('bindingDigest') ?? '';
    const reason = (fields.get('reason') ?? '').trim();
    const [ticket, assertion] = [fields.get('ticket'), fields.get('assertion')];
    const passkey =
      ticket && assertion
        ? await passkeys?.verifyVote(reviewer, bindingDigest, choice, ticket, parseJson(assertion))
        : undefined;
    await approvals.vote(hold.id, reviewer, {
      decision: choice,
      bindingDigest,
      ...(reason !== '' && { reason }),
      ...(passkey && { passkey }),
    });
    return context.redirect(`/holds/${hold.id}?done=${choice}`, 303);
  });

  app.post('/holds/:id/withdraw', async (context) => {
    const fields = await form(context);
    const hold = await find(context);
    refuseStale(hold, fields);
    await approvals.revoke(hold.id, context.var.session.reviewer, fields.get('reason')?.trim() || undefined);
    return context.redirect(`/holds/${hold.id}?done=withdraw`, 303);
  });

  app.get('/events', (context) => {
    const { session } = context.var;
    const stream = parts.events.open(session.reviewer, sessions.endsAt(session));
    return context.body(stream, 200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  });

  app.post('/sign-out', async (context) => {
    await form(context);
    const { session } = context.var;
    const forwardTo = await parts.signIn.signOutUrl(
      parts.logoutHint.read(context.req.header('cookie'), session.reviewer),
    );
    context.header('set-cookie', await sessions.end(session), { append: true });
    context.header('set-cookie', parts.logoutHint.drop, { append: true });
    return page(context, renderSignedOut(forwardTo));
  });

  mountControls(app, parts, form);
  mountPasskeys(app, parts, form, find);
  return app;
}

/** Path and query as they were sent. */
function pathOf(context: Context<ConsoleEnv>): string {
  const url = new URL(context.req.url);
  return url.pathname + url.search;
}

function refuseStranger(context: Context<ConsoleEnv>, { issuer, origin }: ConsoleParts): Response | Promise<Response> {
  if (context.req.method !== 'GET' || context.req.path === '/events')
    throw new GatewayError('reviewer_unauthenticated', 'Your session has ended: sign in again.');
  return context.html(renderWelcome(localPath(pathOf(context), origin), issuer) as Promise<string>, 401);
}

function mountSignIn(app: Hono<ConsoleEnv>, { sessions, signIn, logoutHint, origin }: ConsoleParts): void {
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
    // Whoever was signed in here before is signed out: one browser, one person.
    await sessions.end(await sessions.read(context.req.header('cookie')));
    context.header('set-cookie', sessions.endTransaction, { append: true });
    context.header('set-cookie', sessions.start(reviewer), { append: true });
    context.header('set-cookie', logoutHint.keep(reviewer, idToken) ?? logoutHint.drop, { append: true });
    return context.redirect(to, 303);
  });
  app.get('/signed-out', (context) => context.html(renderSignedOut(undefined) as Promise<string>));
}

function mountPasskeys(
  app: Hono<ConsoleEnv>,
  parts: ConsoleParts,
  form: (context: Context<ConsoleEnv>) => Promise<FormFields>,
  find: (context: Context<ConsoleEnv>) => Promise<Hold>,
): void {
  const { passkeys, holds, isFresh, recordPasskey } = parts;
  app.get('/passkeys', async (context) => {
    const { session } = context.var;
    const mine = (await passkeys?.of(session.reviewer)) ?? [];
    const fresh = isFresh(session.reviewer.authenticatedAt, holds.now());
    return context.html(
      renderPasskeys({
        session,
        passkeys: mine,
        offered: passkeys !== undefined,
        fresh,
        now: holds.now(),
      }) as Promise<string>,
    );
  });
  if (passkeys === undefined) return;

  // Who adds a passkey gains a way to prove themselves: that takes the same proof.
  const refuseOld = (session: SignedIn) => {
    if (!isFresh(session.reviewer.authenticatedAt, holds.now()))
      throw new GatewayError('step_up_required', 'Adding a passkey takes a fresh sign-in.');
  };
  app.post('/passkeys/begin', async (context) => {
    await form(context);
    refuseOld(context.var.session);
    return context.json(await passkeys.beginRegistration(context.var.session.reviewer));
  });
  app.post('/passkeys/add', async (context) => {
    const fields = await form(context);
    const { session } = context.var;
    refuseOld(session);
    const label = (fields.get('label') ?? '').trim().slice(0, 60) || 'Passkey';
    const answer = { ticket: fields.get('ticket') ?? '', response: parseJson(fields.get('response') ?? ''), label };
    await passkeys.finishRegistration(session.reviewer, answer, (passkey) =>
      recordPasskey('added', session.reviewer, passkey),
    );
    return context.json({ ok: true });
  });
  app.post('/passkeys/remove', async (context) => {
    const fields = await form(context);
    const id = fields.get('id') ?? '';
    await recordPasskey('removed', context.var.session.reviewer, { id });
    await passkeys.remove(context.var.session.reviewer, id);
    return context.redirect('/passkeys', 303);
  });
  app.post('/holds/:id/passkey', async (context) => {
    const fields = await form(context);
    const hold = await find(context);
    refuseStale(hold, fields);
    const choice = readChoice(fields);
    if (choice === 'withdraw') throw new GatewayError('bad_vote', 'Taking back needs no passkey.');
    return context.json(await passkeys.beginVote(context.var.session.reviewer, hold, choice));
  });
}

function readChoice(fields: FormFields): Choice {
  const choice = fields.get('decision');
  if (choice !== 'approve' && choice !== 'deny' && choice !== 'withdraw')
    throw new GatewayError('bad_vote', 'The form says neither approve nor deny.');
  return choice;
}

function refuseStale(hold: Hold, fields: FormFields): void {
  if (fields.get('bindingDigest') !== hold.bindingDigest)
    throw new GatewayError('stale_digest', 'The hold is not the one that you looked at.');
}

/** What would be refused at the last step is refused at the first: the vote itself is judged again, in approvals/. */
function refuseEarly(
  hold: Hold,
  choice: 'approve' | 'deny',
  reason: string,
  { permissions, reasonRequired, fault }: DecisionPanel,
): void {
  if (!permissions[choice])
    throw new GatewayError('hold_closed', permissions.why ?? 'This is not open to you.', { holdId: hold.id });
  if (choice === 'approve' && fault !== undefined)
    throw new GatewayError('bad_vote', `What cannot be shown whole is not approved. ${fault}`);
  if (reasonRequired && reason === '')
    throw new GatewayError('reason_required', 'A tier of this hold asks for a reason.');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError('bad_request', 'The answer of the browser cannot be read.');
  }
}
