// The reviewers' listener: the API behind bearer tokens of an audience of its own (`reviewers.api`), and the pages behind a sign-in
// (`reviewers.login`). Without either of the two, that half refuses everybody.

import { dirname, join } from 'node:path';
import { isEligible } from './approvals/quorum.ts';
import { conflictOf } from './approvals/separation.ts';
import { isFresh } from './approvals/voting.ts';
import type { Config } from './config/schema.ts';
import { createSealer } from './credentials/seal.ts';
import type { Approvals } from './domain/approvals.ts';
import type { AuditLog } from './domain/audit.ts';
import type { Clock } from './domain/clock.ts';
import type { HoldStore } from './domain/hold.ts';
import type { Logger } from './domain/log.ts';
import type { Metrics } from './domain/metrics.ts';
import type { PasskeyStore } from './domain/passkey.ts';
import { Secret } from './domain/secret.ts';
import { parseStrictJson } from './domain/strict-json.ts';
import { GatewayError } from './errors.ts';
import { createReviewerAuthenticator, type ReviewerAuthenticator } from './identity/reviewer.ts';
import { createBoundedServer, type Listening, listen } from './listen.ts';
import { reviewListener } from './review/app.ts';
import type { DeskOptions } from './review/pages/desk.ts';
import { createPasskeys } from './review/passkeys.ts';
import { createSessions, type Seal } from './review/session.ts';
import { createSignIn } from './review/sign-in.ts';

export interface ReviewersPlaneParts {
  readonly approvals: Approvals;
  readonly holds: HoldStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly passkeys: PasskeyStore;
  /** The configuration in force, and the digest of its policy, for what the pages say beside a hold. */
  current(): { readonly config: Config; readonly policyDigest: string };
}

export async function startReviewersPlane(config: Config, parts: ReviewersPlaneParts): Promise<Listening> {
  const { approvals, holds, clock, log, metrics } = parts;
  const { address, url, tls } = config.listeners.reviewers;
  const closing = new AbortController();
  const authenticator = authenticatorOf(config, { clock, log, metrics });
  await authenticator?.start();
  const options = { address, ...(tls && { tls }) };
  const server = createBoundedServer(options);
  const listening = await listen(server, options);
  const origin = url === undefined ? `${tls === undefined ? 'http' : 'https'}://${literalOf(address.host)}:${listening.port}` : new URL(url).origin;
  const desk = deskOf(config, origin, parts);
  server.on(
    'request',
    reviewListener({
      approvals,
      holds,
      log,
      hosts: hostsOf(url, address.host, listening.port),
      eligibility: { isEligible, conflictOf },
      authenticate: authenticator?.authenticate ?? refuseEverybody,
      parseJson: parseStrictJson,
      closing: closing.signal,
      ...(desk && { desk }),
    }),
  );
  return {
    port: listening.port,
    async close(graceMs) {
      closing.abort();
      await listening.close(graceMs);
      authenticator?.close();
    },
  };
}

function authenticatorOf({ reviewers, identity }: Config, parts: Pick<ReviewersPlaneParts, 'clock' | 'log' | 'metrics'>): ReviewerAuthenticator | undefined {
  const { api } = reviewers;
  const agentAudiences = [...identity.audience, ...identity.issuers.flatMap(({ audience = [] }) => audience)];
  return api && createReviewerAuthenticator({ ...api, agentAudiences }, parts);
}

function refuseEverybody(): Promise<never> {
  return Promise.reject(new GatewayError('reviewer_unauthenticated', 'No reviewers’ issuer is configured: reviewers.api is missing.'));
}

/** The pages, where people can sign in to them. */
function deskOf(config: Config, origin: string, { clock, audit, passkeys: store, current }: ReviewersPlaneParts): DeskOptions | undefined {
  const { login } = config.reviewers;
  if (login === undefined) return undefined;
  const now = clock.now;
  const seal = createSeal(join(dirname(config.store.path), 'session.key'));
  const passkeys = createPasskeys({ store, seal, origin, now });
  return {
    origin,
    issuer: login.issuer,
    isFresh,
    sessions: createSessions({ seal, origin, idleMs: login.idleMs, lifeMs: login.lifeMs, now }),
    signIn: createSignIn({ ...login, redirectUri: `${origin}/sign-in/callback`, signedOutUri: `${origin}/signed-out`, now }),
    ...(passkeys && { passkeys }),
    background({ action, policyDigest }) {
      const { config: live, policyDigest: inForce } = current();
      const credential = action.credential && live.credentials[action.credential.name];
      return {
        ...(credential && { credential: describeCredential(credential) }),
        rule: (id) => (policyDigest === inForce ? describeRule(live.rules.find((rule) => rule.id === id)) : undefined),
      };
    },
    async recordPasskey(event, reviewer, { id }) {
      await audit.append('passkey', clock.now(), { event, reviewer: reviewer.id, passkey: id }, 'fsync');
    },
  };
}

/** The seal of credentials/, under a key of the desk's own. */
function createSeal(keyFile: string): Seal {
  const sealer = createSealer({ keyFile });
  return {
    seal: (purpose, text) => sealer.seal(purpose, new Secret(text)),
    open(purpose, sealed) {
      try {
        return sealer.open(purpose, sealed).reveal();
      } catch {
        return undefined;
      }
    },
  };
}

function describeCredential(credential: Config['credentials'][string]): string {
  if (credential.type === 'static') return 'a fixed secret: it is not made for this call and does not end with it';
  return `by ${credential.type}, made for this call${credential.revoke ? ' and revoked when it is over' : '; it ends by itself'}`;
}

function describeRule(rule: Config['rules'][number] | undefined): string | undefined {
  if (rule === undefined) return undefined;
  const match = Object.entries(rule.match).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(', ') : value}`);
  return `${match.join('; ')}${rule.when === undefined ? '' : ` when ${rule.when}`}`;
}

const literalOf = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** The names that this plane answers to: its public URL, and the literal address that it listens on. A rebound name is neither. */
function hostsOf(url: string | undefined, host: string, port: number): ReadonlySet<string> {
  const own = [`${literalOf(host)}:${port}`, ...(host === '127.0.0.1' || host === '::1' ? [`localhost:${port}`] : [])];
  return new Set(url === undefined ? own : [new URL(url).host, ...own]);
}
