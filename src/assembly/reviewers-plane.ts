// The reviewers' listener: the API behind bearer tokens of an audience of its own (`reviewers.api`), and the pages
// behind a sign-in (`reviewers.login`). Without either of the two, that half refuses everybody.

import { requirementsOf } from '../approvals/escalation.ts';
import { isEligible, isListed, isSuspended } from '../approvals/quorum.ts';
import { conflictOf } from '../approvals/separation.ts';
import { proposeRules } from '../config/proposal.ts';
import type { Config } from '../config/schema.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { createReviewerAuthenticator, type ReviewerAuthenticator } from '../identity/reviewer.ts';
import { inTurn } from '../listeners/connection-bounds.ts';
import { createBoundedServer, type Listening, listen } from '../listeners/listen.ts';
import { reviewListener } from '../review/app.ts';
import type { ConsoleRoutes } from '../review/console-routes.ts';
import type { FactsParts } from '../review/facts.ts';
import type { Powers } from '../review/interventions.ts';
import { followCertificateFiles } from './certificate-files.ts';
import type { Foundation } from './foundation.ts';
import { type PagesParts, pagesOf } from './reviewer-pages.ts';

export interface ReviewersPlaneParts extends Omit<PagesParts, keyof OpenParts> {
  readonly approvals: Approvals;
  readonly operations: Omit<ConsoleRoutes & FactsParts, 'powersOf'>;
}

type OpenParts = Pick<Foundation, 'audit' | 'clock' | 'log' | 'metrics'>;

/** The listener, before anything is served on it. */
export interface ReviewersPlane extends Listening {
  /** Where links to the pages lead: `listeners.reviewers.url`, or the listener's own address. */
  readonly url: string;
  /** Serves from now on. Call it in the turn in which the plane was opened: a request that comes before has no answer. */
  serve(parts: ReviewersPlaneParts): void;
}

export async function openReviewersPlane(
  config: Config,
  foundation: Foundation,
  maxConnections: number,
): Promise<ReviewersPlane> {
  const { log, store } = foundation;
  const { address, url, tls } = config.listeners.reviewers;
  const { login } = config.reviewers;
  const closing = new AbortController();
  const authenticator = authenticatorOf(config, foundation);
  await authenticator?.start();
  const options = {
    address,
    maxConnections,
    ...(tls && { tls: { feed: followCertificateFiles(tls, 'reviewers', log) } }),
  };
  const server = createBoundedServer(options);
  const listening = await listen(server, options);
  const own = `${tls === undefined ? 'http' : 'https'}://${literalOf(address.host)}:${listening.port}`;
  return {
    port: listening.port,
    url: (url ?? own).replace(/\/$/, ''),
    serve(parts) {
      const { approvals, operations, current } = parts;
      const pages = pagesOf(config, url === undefined ? own : new URL(url).origin, { ...foundation, ...parts });
      const review = reviewListener({
        ...{ approvals, log },
        holds: store.holds,
        hosts: hostsOf(url, address.host, listening.port),
        eligibility: { isEligible, conflictOf, requirementsOf: (hold) => requirementsOf(hold, store.holds.now()) },
        operations: { ...operations, powersOf: (reviewer) => powersOf(current().config, reviewer) },
        propose: (hold, similar) => proposeRules(current().config.rules, hold, similar),
        authenticate: authenticator?.authenticate ?? refuseEverybody,
        ...(login && { stepUpAcr: login.stepUp.acr }),
        parseJson: parseStrictJson,
        closing: closing.signal,
        ...(pages && { pages }),
      });
      server.on('request', inTurn(review));
    },
    async close(graceMs) {
      closing.abort();
      await listening.close(graceMs);
      authenticator?.close();
    },
  };
}

/** Suspended reviewers have none: their sign-in may be what was stolen. */
function powersOf(
  { reviewers: { killSwitch = [], watch = killSwitch, declassify = [], suspended } }: Config,
  reviewer: Reviewer,
): Powers {
  const has = (people: readonly string[]): boolean =>
    !isSuspended(reviewer, new Set(suspended)) && isListed(people, reviewer);
  return { killSwitch: has(killSwitch), watch: has(watch) || has(killSwitch), declassify: has(declassify) };
}

function authenticatorOf({ reviewers, identity }: Config, parts: OpenParts): ReviewerAuthenticator | undefined {
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
