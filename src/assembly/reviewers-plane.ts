// The reviewers' listener: the API behind bearer tokens of an audience of its own (`reviewers.api`), and the pages
// behind a sign-in (`reviewers.login`). Without either of the two, that half refuses everybody.

import { requirementsOf } from '../approvals/escalation.ts';
import { isEligible, isListed, isSuspended } from '../approvals/quorum.ts';
import { conflictOf } from '../approvals/separation.ts';
import { proposeRules } from '../config/proposal.ts';
import type { Config } from '../config/schema.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { HoldStore } from '../domain/hold.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { createReviewerAuthenticator, type ReviewerAuthenticator } from '../identity/reviewer.ts';
import { inTurn } from '../listeners/connection-bounds.ts';
import { createBoundedServer, type Listening, listen } from '../listeners/listen.ts';
import { reviewListener } from '../review/app.ts';
import type { ConsoleRoutes } from '../review/console-routes.ts';
import type { Powers } from '../review/interventions.ts';
import { followCertificateFiles } from './certificate-files.ts';
import { type PagesParts, pagesOf } from './reviewer-pages.ts';

export interface ReviewersPlaneParts extends PagesParts {
  readonly maxConnections: number;
  readonly approvals: Approvals;
  readonly holds: HoldStore;
  readonly operations: Omit<ConsoleRoutes, 'powersOf'>;
}

export async function startReviewersPlane(config: Config, parts: ReviewersPlaneParts): Promise<Listening> {
  const { approvals, holds, clock, log, metrics, operations, current, maxConnections } = parts;
  const { address, url, tls } = config.listeners.reviewers;
  const { login } = config.reviewers;
  const closing = new AbortController();
  const authenticator = authenticatorOf(config, { clock, log, metrics });
  await authenticator?.start();
  const options = {
    address,
    maxConnections,
    ...(tls && { tls: { feed: followCertificateFiles(tls, 'reviewers', log) } }),
  };
  const server = createBoundedServer(options);
  const listening = await listen(server, options);
  const origin =
    url === undefined
      ? `${tls === undefined ? 'http' : 'https'}://${literalOf(address.host)}:${listening.port}`
      : new URL(url).origin;
  const pages = pagesOf(config, origin, parts);
  const review = reviewListener({
    approvals,
    holds,
    log,
    hosts: hostsOf(url, address.host, listening.port),
    eligibility: { isEligible, conflictOf, requirementsOf: (hold) => requirementsOf(hold, holds.now()) },
    operations: { ...operations, powersOf: (reviewer) => powersOf(current().config, reviewer) },
    propose: (hold, similar) => proposeRules(current().config.rules, hold, similar),
    authenticate: authenticator?.authenticate ?? refuseEverybody,
    ...(login && { stepUpAcr: login.stepUp.acr }),
    parseJson: parseStrictJson,
    closing: closing.signal,
    ...(pages && { pages }),
  });
  server.on('request', inTurn(review));
  return {
    port: listening.port,
    async close(graceMs) {
      closing.abort();
      await listening.close(graceMs);
      authenticator?.close();
    },
  };
}

/** Suspended reviewers have none: their sign-in may be what was stolen. */
function powersOf(
  { reviewers: { killSwitch = [], watch = killSwitch, suspended } }: Config,
  reviewer: Reviewer,
): Powers {
  const has = (people: readonly string[]): boolean =>
    !isSuspended(reviewer, new Set(suspended)) && isListed(people, reviewer);
  return { killSwitch: has(killSwitch), watch: has(watch) || has(killSwitch) };
}

function authenticatorOf(
  { reviewers, identity }: Config,
  parts: Pick<ReviewersPlaneParts, 'clock' | 'log' | 'metrics'>,
): ReviewerAuthenticator | undefined {
  const { api, login } = reviewers;
  const agentAudiences = [...identity.audience, ...identity.issuers.flatMap(({ audience = [] }) => audience)];
  return api && createReviewerAuthenticator({ ...api, agentAudiences, ...(login && { stepUp: login.stepUp }) }, parts);
}

function refuseEverybody(): Promise<never> {
  return Promise.reject(
    new GatewayError('reviewer_unauthenticated', 'No reviewers’ issuer is configured: reviewers.api is missing.'),
  );
}

const literalOf = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/**
 * The names that this plane answers to: its public URL, and the literal address that it listens on. A rebound name is
 * neither.
 */
function hostsOf(url: string | undefined, host: string, port: number): ReadonlySet<string> {
  const own = [`${literalOf(host)}:${port}`, ...(host === '127.0.0.1' || host === '::1' ? [`localhost:${port}`] : [])];
  return new Set(url === undefined ? own : [new URL(url).host, ...own]);
}
