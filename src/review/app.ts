// The reviewers' API (DESIGN section 8), on its own listener, and the pages beside it. The API trusts only bearer
// tokens of the reviewers' issuer and audience, which `authenticate` has verified. It refuses workload tokens and
// cookies, has no CORS, and answers only to known Host names. A hold that does not name the reader is answered like a
// hold that does not exist.

import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Approvals } from '../domain/approvals.ts';
import type { Hold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Logger } from '../domain/log.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { asGatewayError, type ErrorCode, GatewayError } from '../errors.ts';
import { problem } from '../problem.ts';
import { type ParseJson, readBallot, readRevocation } from './ballot.ts';
import { addConsoleRoutes, type ConsoleRoutes } from './console-routes.ts';
import { createEventStreams, tokenExpiry } from './events.ts';
import { addFactRoutes, type FactsParts } from './facts.ts';
import { listHolds } from './listing.ts';
import { createConsole, PAGE_HEADERS } from './pages/console.ts';
import type { ConsoleOptions } from './pages/console-parts.ts';
import { type Eligibility, isNamed } from './permissions.ts';
import { type SimilarParts, similarTo } from './similar.ts';
import { viewHold, viewWhole } from './view.ts';
import { wholeContent } from './whole-content.ts';

export interface ReviewDeps extends SimilarParts {
  readonly approvals: Pick<Approvals, 'vote' | 'revoke' | 'opened'>;
  readonly holds: HoldStore;
  readonly eligibility: Eligibility;
  /** The accepted values of Host, in lower case: `listeners.reviewers.url` and the address itself. */
  readonly hosts: ReadonlySet<string>;
  /** Gets every Authorization value of the request. Throws `reviewer_unauthenticated`, `issuer_unavailable`. */
  authenticate(authorizationValues: readonly string[]): Promise<Reviewer>;
  /** The `acr` that a sign-in must have to count as fresh; default any. */
  readonly stepUpAcr?: readonly string[];
  /** Strict JSON: throws `bad_json` for duplicate keys and the like. */
  readonly parseJson: ParseJson;
  readonly operations: ConsoleRoutes & FactsParts;
  readonly log: Logger;
  /** Aborted when the gateway drains: ends the event streams. */
  readonly closing: AbortSignal;
  /** The pages; without them the plane is an API only. */
  readonly pages?: ConsoleOptions;
}

type ReviewAppEnv = { Bindings: HttpBindings; Variables: { reviewer: Reviewer } };

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

function createReviewApp(deps: ReviewDeps): Hono<ReviewAppEnv> {
  const app = new Hono<ReviewAppEnv>();
  const events = createEventStreams(deps.holds, deps.eligibility, deps.closing);

  app.onError((thrown) => refuse(deps, thrown));
  app.notFound(() => refuse(deps, new GatewayError('not_found', 'The reviewers’ API is below /api/v1/.')));

  app.use(async (context, next) => {
    checkRequest(context, deps.hosts);
    await next();
    const isPage = deps.pages !== undefined && !context.req.path.startsWith('/api/');
    for (const [name, value] of Object.entries(isPage ? PAGE_HEADERS : SECURITY_HEADERS))
      context.res.headers.set(name, value);
    // Their addresses contain a digest of the content, so browsers may keep them.
    if (context.req.path.startsWith('/assets/') && context.res.ok)
      context.res.headers.set('cache-control', 'public, max-age=31536000, immutable');
  });
  app.use('/api/*', async (context, next) => {
    context.set('reviewer', await deps.authenticate(authorizationOf(context)));
    await next();
  });

  const whole = async (hold: Hold, reviewer: Reviewer) =>
    viewWhole(deps.eligibility, hold, await wholeContent(deps, hold), reviewer, deps.holds.now());
  const answer = async (context: Context<ReviewAppEnv>, hold: Hold) =>
    context.json(await whole(hold, context.var.reviewer));

  app.get('/api/v1/holds', async (context) => {
    const { reviewer } = context.var;
    const { holds, next } = await listHolds(
      deps.holds,
      deps.eligibility,
      reviewer,
      new URL(context.req.url).searchParams,
    );
    const now = deps.holds.now();
    return context.json({ holds: holds.map((hold) => viewHold(deps.eligibility, hold, reviewer, now)), next });
  });

  app.get('/api/v1/holds/:id', async (context) => {
    const { reviewer } = context.var;
    const hold = await visibleHold(deps, context.req.param('id'), reviewer);
    deps.approvals.opened(hold.id, reviewer);
    return context.json({ ...(await whole(hold, reviewer)), similar: await similarTo(deps, hold) });
  });

  app.post('/api/v1/holds/:id/votes', async (context) => {
    const { reviewer } = context.var;
    const hold = await visibleHold(deps, context.req.param('id'), reviewer);
    const ballot = await readBallot(context.req.raw, deps.parseJson);
    return answer(context, await deps.approvals.vote(hold.id, reviewer, ballot));
  });

  app.post('/api/v1/holds/:id/revoke', async (context) => {
    const { reviewer } = context.var;
    const hold = await visibleHold(deps, context.req.param('id'), reviewer);
    const reason = await readRevocation(context.req.raw, deps.parseJson);
    return answer(context, await deps.approvals.revoke(hold.id, reviewer, reason));
  });

  addConsoleRoutes(app, deps.operations, deps);
  addFactRoutes(app, deps.operations, { parseJson: deps.parseJson, now: () => deps.holds.now() });

  app.get('/api/v1/events', (context) => {
    const { reviewer } = context.var;
    return context.body(events.open(reviewer, tokenExpiry(authorizationOf(context))), 200, {
      'content-type': 'text/event-stream',
      'x-accel-buffering': 'no',
    });
  });

  app.all('/api/*', () => {
    throw new GatewayError('not_found', 'There is no such endpoint with this method in the reviewers’ API.');
  });
  if (deps.pages !== undefined)
    app.route('/', createConsole({ ...deps, ...deps.pages, events, onFault: (error) => logFault(deps.log, error) }));
  return app;
}

/** The API as a listener for `node:http`. */
export function reviewListener(deps: ReviewDeps): RequestListener {
  const app = createReviewApp(deps);
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return (incoming, outgoing) => {
    listener(incoming, outgoing).catch((thrown: unknown) => {
      deps.log.error('review.connection', { error: thrown instanceof Error ? thrown.name : typeof thrown });
      outgoing.destroy();
    });
  };
}

const authorizationOf = (context: Context<ReviewAppEnv>): readonly string[] =>
  context.env.incoming.headersDistinct.authorization ?? [];

function checkRequest(context: Context<ReviewAppEnv>, names: ReadonlySet<string>): void {
  const { incoming } = context.env;
  const hosts = incoming.headersDistinct.host ?? [];
  // Against DNS rebinding: a page that lets its own name resolve to this address still sends that name.
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined || !names.has(host.toLowerCase())) {
    throw new GatewayError('bad_host', `The reviewers’ plane answers to ${[...names].join(' and ')} only.`);
  }
  if (!incoming.url?.startsWith('/'))
    throw new GatewayError('bad_request', 'The request target must be in origin-form.');
  // Hono would run the GET handler for HEAD, and so open event streams that nobody reads.
  if (incoming.method !== 'GET' && incoming.method !== 'POST' && incoming.method !== 'DELETE') {
    throw new GatewayError('method_not_allowed', 'The reviewers’ API takes GET, POST and DELETE.');
  }
}

async function visibleHold({ holds, eligibility }: ReviewDeps, id: string, reviewer: Reviewer): Promise<Hold> {
  const hold = await holds.get(id);
  if (hold === undefined || !isNamed(eligibility, hold, reviewer))
    throw new GatewayError('hold_not_found', 'There is no such hold for you to review.');
  return hold;
}

function refuse(deps: ReviewDeps, thrown: unknown): Response {
  const error = withProof(deps, asGatewayError(thrown));
  const requestId = randomUUID();
  if (error.status >= 500) logFault(deps.log, error, requestId);
  const { status, headers, body } = problem(error, { requestId, challenge: challenge(error) });
  const answer = new Headers();
  for (let i = 0; i + 1 < headers.length; i += 2) answer.append(headers[i] as string, headers[i + 1] as string);
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) answer.set(name, value);
  return new Response(body, { status, headers: answer });
}

function logFault(log: Logger, { code, details: { cause } }: GatewayError, requestId?: string): void {
  log.error('review.fault', { requestId, code, cause: cause instanceof Error ? cause.name : undefined });
}

const TOO_WEAK: readonly ErrorCode[] = ['step_up_required', 'assurance_required'];

/** The refusal of a vote by a sign-in that is too old or too weak, with what else the person needs to know. */
function withProof({ stepUpAcr = [], pages }: ReviewDeps, error: GatewayError): GatewayError {
  const { code, detail, details } = error;
  const { holdId, members = {} } = details;
  if (!TOO_WEAK.includes(code)) return error;
  // A tier without `acr` of its own takes what counts as a fresh sign-in.
  const acr = members.acr_values === undefined && members.max_age !== undefined ? stepUpAcr.join(' ') : '';
  const page = pages && holdId !== undefined ? { page: `${pages.origin}/holds/${holdId}` } : {};
  return new GatewayError(code, detail, {
    ...details,
    members: { ...members, ...(acr && { acr_values: acr }), ...page },
  });
}

/** RFC 6750 section 3; for a sign-in that is too old or too weak, RFC 9470 section 3. */
function challenge({ code, details: { members = {} } }: GatewayError): string {
  const realm = 'Bearer realm="countersign-review"';
  if (!TOO_WEAK.includes(code)) return realm;
  const { acr_values: acr, max_age: maxAge } = members;
  return [
    `${realm}, error="insufficient_user_authentication"`,
    ...(maxAge === undefined ? [] : [`max_age=${maxAge}`]),
    ...(acr === undefined ? [] : [`acr_values="${String(acr).replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '')}"`]),
  ].join(', ');
}
