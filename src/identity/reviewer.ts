// Reviewers at their API: from a bearer token of the reviewers' issuer and audience to a Reviewer. Refuses every token
// that is not a person's access token (person-token.ts), and tokens that are bound to a key. Whether the person may
// decide on a hold is decided in approvals/.

import { claimAt, textsAt } from '../domain/claim.ts';
import type { Clock } from '../domain/clock.ts';
import type { IssuerStatus } from '../domain/identity.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import { personAt, personUnknown } from '../domain/person-claim.ts';
import { isStrong, type Reviewer, type StepUp } from '../domain/reviewer.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import type { SignatureAlgorithm } from './keys/algorithms.ts';
import type { FetchDocument } from './keys/issuer-http.ts';
import { createOidcKeys } from './keys/oidc-keys.ts';
import { REFRESH_TIMES, type RefreshTimes } from './keys/polled.ts';
import { failedCheck, refusal } from './refusal.ts';
import { verifyAccessToken } from './tokens/access-token.ts';
import { party } from './tokens/actors.ts';
import { readAuthorization } from './tokens/bearer.ts';
import { claimRules, requireSubject } from './tokens/claims.ts';
import { refuseNonPerson } from './tokens/person-token.ts';
import { parseJwsUnverified, readClaimsUnverified } from './tokens/unverified-jws.ts';

export interface ReviewerOptions {
  /** Whose tokens are taken: the exact `iss`. */
  readonly issuer: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Demands RFC 9068 tokens (`typ: at+jwt`), so that ID tokens cannot pass. */
  readonly requireAccessTokenType: boolean;
  /** What a reviewer's token must be addressed to. */
  readonly audience: string;
  /**
   * `identity.audience` and the audiences of its issuer entries: a token that is addressed to one of these, too, is an
   * agent's and is refused.
   */
  readonly agentAudiences: readonly string[];
  /**
   * The clients (`azp`, `client_id`) through which people sign in; undefined: any. Required where agents' tokens come
   * from the same issuer.
   */
  readonly clients?: readonly string[] | undefined;
  /** The claim that lists the person's groups, by name or path. */
  readonly groupsClaim: string;
  /** The claim with the name to show. Default name. */
  readonly displayClaim?: string;
  /** The claim that says which person it is; tokens without it are refused. */
  readonly personClaim?: string | undefined;
  /** Which sign-ins are strong enough for step-up. Default any. */
  readonly stepUp?: StepUp;
  readonly refresh?: Partial<RefreshTimes>;
}

export interface ReviewerAuthenticator {
  /**
   * The person behind the values of a request's Authorization fields. Throws `reviewer_unauthenticated`, whose
   * `details.members` hold the `reason` (a code of the `token_*` family or `unauthenticated`) and the `check` that
   * failed; `bad_header`, `person_unknown` and `issuer_unavailable` as they are.
   */
  authenticate(authorizationHeaderValues: readonly string[]): Promise<Reviewer>;
  status(): IssuerStatus;
  start(): Promise<void>;
  close(): void;
}

export interface ReviewerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Default the global fetch. */
  readonly fetch?: FetchDocument;
}

const NAME = 'reviewers';
const MAX_LIFETIME_MS = 24 * 3_600_000;

/**
 * Throws TypeError for options under which an agent's token would do at the reviewers' API. `authenticate` says who the
 * person is; it does not check what the person may decide, or whether their votes are suspended.
 *
 * @example
 * const reviewers = createReviewerAuthenticator({ issuer, audience, agentAudiences, … }, { clock, log, metrics });
 * await reviewers.start();
 * const reviewer = await reviewers.authenticate(request.headersDistinct.authorization ?? []);
 */
export function createReviewerAuthenticator(options: ReviewerOptions, parts: ReviewerParts): ReviewerAuthenticator {
  const { clock, log, metrics, fetch = globalThis.fetch } = parts;
  if (options.agentAudiences.includes(options.audience)) throw new TypeError('reviewers need an audience of their own');
  const keys = createOidcKeys(
    { name: NAME, issuer: options.issuer },
    { ...REFRESH_TIMES, ...options.refresh },
    { clock, log, fetch },
  );
  const rules = {
    ...claimRules({ maxLifetimeMs: MAX_LIFETIME_MS }, [options.audience]),
    issuer: options.issuer,
    algorithms: options.algorithms,
    requireAccessTokenType: options.requireAccessTokenType,
  };

  async function verify(values: readonly string[]): Promise<Reviewer> {
    const jws = parseJwsUnverified(readAuthorization(values));
    const claims = readClaimsUnverified(jws);
    await verifyAccessToken(jws, claims, keys, rules, clock);
    // Nothing on that plane asks for the proof, and without it a bound token would be taken for a bearer token: a
    // downgrade.
    if (claims.cnf !== undefined)
      throw refusal(
        'token_claims',
        'cnf',
        'The token is bound to a key (cnf), and proof of that key is not accepted here.',
      );
    refuseNonPerson(claims, options);
    return readReviewer(claims, options);
  }

  return {
    async authenticate(values) {
      try {
        return await verify(values);
      } catch (thrown) {
        const inner = asGatewayError(thrown);
        metrics.tokenRefused(NAME, inner.code);
        log.warn('identity.refused', { issuer: NAME, check: failedCheck(inner), code: inner.code });
        if (inner.status !== 401) throw inner;
        throw new GatewayError('reviewer_unauthenticated', inner.detail, {
          members: { reason: inner.code, check: failedCheck(inner) },
          cause: inner,
        });
      }
    },
    status() {
      const status = keys.status();
      return { name: NAME, type: 'oidc', ready: status.keys > 0, ...status };
    },
    start: keys.start,
    close: keys.close,
  };
}

function readReviewer(
  claims: JsonObject,
  { issuer, groupsClaim, displayClaim = 'name', personClaim, stepUp = { acr: [], amr: [] } }: ReviewerOptions,
): Reviewer {
  const person = personClaim === undefined ? undefined : personAt(claims, personClaim);
  if (personClaim !== undefined && person === undefined) throw personUnknown('The token', personClaim);
  const { acr, auth_time: authTime } = claims;
  const name = claimAt(claims, displayClaim);
  const amr = readTexts(claims, 'amr');
  const strength = { ...(typeof acr === 'string' && { acr }), ...(amr !== undefined && { amr }) };
  const signedInAt =
    typeof authTime === 'number' && isStrong(strength, stepUp) ? Math.floor(authTime * 1000) : Number.NaN;
  return {
    ...party(issuer, requireSubject(claims)),
    ...(person !== undefined && { person }),
    groups: readTexts(claims, groupsClaim) ?? [],
    ...(typeof name === 'string' && { name }),
    ...strength,
    ...(Number.isSafeInteger(signedInAt) && { authenticatedAt: signedInAt }),
  };
}

/** The texts of a claim; undefined where the claim is absent. Anything that is not text is refused. */
function readTexts(claims: JsonObject, name: string): readonly string[] | undefined {
  const texts = textsAt(claims, name);
  if (texts === null)
    throw refusal('token_claims', name, 'A claim of the token is neither a text nor a list of texts.');
  return texts;
}
