// Signing in at the organisation's own issuer: OpenID Connect authorization code flow with PKCE, state and nonce, by
// openid-client. Trusts that client's checks of the ID token, and the issuer for names and groups. Refuses an old
// sign-in where a fresh one was asked for.

import * as oidc from 'openid-client';
import { claimAt, textsAt } from '../domain/claim.ts';
import type { EpochMs } from '../domain/clock.ts';
import { isName } from '../domain/name.ts';
import { type OnceStore, useOnce } from '../domain/once.ts';
import { personAt, personUnknown } from '../domain/person-claim.ts';
import { isStrong, type Reviewer, type StepUp } from '../domain/reviewer.ts';
import type { SecretSource } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

export interface BrowserSignInOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Absent for a public client. */
  readonly clientSecret?: SecretSource;
  readonly clientAuth: 'basic' | 'post';
  readonly scope: string;
  /** The claim that lists the person's groups, by name or path, in the ID token or at the userinfo endpoint. */
  readonly groupsClaim: string;
  /** The claim that says which person it is, in the ID token or at the userinfo endpoint; without it nobody signs in. */
  readonly personClaim?: string | undefined;
  /** The claim with the name to show. */
  readonly displayClaim: string;
  /** Sent as `acr_values` when a fresh sign-in is asked for, and no tier says which. */
  readonly acrValues: readonly string[];
  readonly stepUp: StepUp;
  /** Where the issuer sends people back to. */
  readonly redirectUri: string;
  /** Where it sends them after signing out. */
  readonly signedOutUri: string;
  readonly once: OnceStore;
  now(): EpochMs;
}

/** What a sign-in must be like. The issuer is asked for it, and what comes back is checked. */
export interface SignInTerms {
  /** How old the sign-in may be when it is asked for; 0: it must be a new one. */
  readonly maxAgeMs?: number;
  /** One of these. */
  readonly acr?: readonly string[];
}

export interface BrowserSignIn {
  /** Where to send the browser, and what to keep until it comes back. Throws `issuer_unavailable`. */
  begin(to: string, terms?: SignInTerms): Promise<{ readonly url: string; readonly transaction: string }>;
  /**
   * Uses up the transaction. Throws `reviewer_unauthenticated` with the `check` that failed, `person_unknown`,
   * `issuer_unavailable`, `store_unavailable`.
   */
  finish(
    callback: URL,
    transaction: string,
  ): Promise<{ readonly reviewer: Reviewer; readonly to: string; readonly idToken: string }>;
  /**
   * The issuer's own sign-out page (RP-Initiated Logout 1.0), where it has one. With the ID token as a hint, the issuer
   * need not ask who signs out.
   */
  signOutUrl(idToken?: string): Promise<string | undefined>;
}

interface Transaction extends SignInTerms {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly to: string;
  readonly startedAt: EpochMs;
}

/** Clocks of issuers may run behind ours. */
const SKEW_MS = 60_000;
/** Longer than the life of the cookie that carries a transaction. */
const REMEMBERED_MS = 60 * 60_000;

export function createBrowserSignIn(options: BrowserSignInOptions): BrowserSignIn {
  const { issuer, clientId, scope, redirectUri, signedOutUri, once, now } = options;
  let discovered: Promise<oidc.Configuration> | undefined;

  // Discovered at the first sign-in, not at start: an issuer that is down must not keep the gateway from starting.
  const configuration = async (): Promise<oidc.Configuration> => {
    discovered ??= discover(options);
    try {
      return await discovered;
    } catch (cause) {
      discovered = undefined;
      throw new GatewayError('issuer_unavailable', 'The reviewers’ issuer cannot be reached for a sign-in.', { cause });
    }
  };

  return {
    async begin(to, terms = {}) {
      const config = await configuration();
      const transaction: Transaction = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
        ...{ ...terms, to, startedAt: now() },
      };
      const parameters = {
        redirect_uri: redirectUri,
        response_type: 'code',
        scope,
        state: transaction.state,
        nonce: transaction.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(transaction.verifier),
        code_challenge_method: 'S256',
        ...parametersOf(terms, options.acrValues),
      };
      try {
        return { url: oidc.buildAuthorizationUrl(config, parameters).href, transaction: JSON.stringify(transaction) };
      } catch (cause) {
        throw new GatewayError(
          'issuer_unavailable',
          'The reviewers’ issuer names no sign-in page that a browser can open.',
          { cause },
        );
      }
    },
    async finish(callback, kept) {
      const config = await configuration();
      const { state, nonce, verifier, to, startedAt, ...terms } = JSON.parse(kept) as Transaction;
      const { claims, more, idToken } = await exchange(config, callback, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
      });
      // Used up only after the issuer has agreed: a forged answer must not end the sign-in of the person who waits for
      // the real one.
      if (!(await useOnce(once, 'sign-in', state, startedAt + REMEMBERED_MS))) {
        throw refusal('finished', 'This sign-in was finished before: start a new one.');
      }
      checkTerms(claims, terms, startedAt);
      const reviewer = {
        ...readReviewer(issuer, { ...more, ...claims }, claims, options),
        ...readPerson(claims, more, options),
      };
      return { reviewer, to, idToken };
    },
    async signOutUrl(idToken) {
      const config = await configuration().catch(() => undefined);
      if (config?.serverMetadata().end_session_endpoint === undefined) return undefined;
      try {
        return oidc.buildEndSessionUrl(config, {
          ...{ post_logout_redirect_uri: signedOutUri, client_id: clientId },
          ...(idToken !== undefined && { id_token_hint: idToken }),
        }).href;
      } catch {
        // The client says that this is no web page. The session at this console must end in any case.
        return undefined;
      }
    },
  };
}

/** OIDC Core section 3.1.2.1: prompt makes the issuer ask the person again, max_age puts auth_time into the ID token. */
function parametersOf({ maxAgeMs, acr }: SignInTerms, configured: readonly string[]): Readonly<Record<string, string>> {
  if (maxAgeMs === undefined && acr === undefined) return {};
  const acrValues = acr ?? configured;
  return {
    prompt: 'login',
    ...(maxAgeMs !== undefined && { max_age: String(Math.floor(maxAgeMs / 1000)) }),
    ...(acrValues.length > 0 && { acr_values: acrValues.join(' ') }),
  };
}

function checkTerms(claims: oidc.IDToken, { maxAgeMs, acr }: SignInTerms, startedAt: EpochMs): void {
  const signedIn = claims.auth_time === undefined ? undefined : claims.auth_time * 1000;
  if (maxAgeMs !== undefined && (signedIn === undefined || signedIn < startedAt - maxAgeMs - SKEW_MS))
    throw refusal(
      'not_fresh',
      'The issuer did not ask you to sign in anew, so this does not count as a fresh sign-in.',
    );
  if (acr !== undefined && !(typeof claims.acr === 'string' && acr.includes(claims.acr)))
    throw refusal(
      'too_weak',
      'The issuer signed you in, but not as strongly as the tier asks (acr). Sign in by a stronger method.',
    );
}

async function discover({
  issuer,
  clientId,
  clientSecret,
  clientAuth,
}: BrowserSignInOptions): Promise<oidc.Configuration> {
  const server = new URL(issuer);
  const prove = clientAuth === 'post' ? oidc.ClientSecretPost : oidc.ClientSecretBasic;
  // Read anew for each request: a rotated secret is used from the next sign-in on.
  const byReading: oidc.ClientAuth = (...request) => prove(clientSecret?.read().reveal())(...request);
  const authentication = clientSecret === undefined ? oidc.None() : byReading;
  return oidc.discovery(server, clientId, undefined, authentication, {
    execute: server.protocol === 'http:' ? [oidc.allowInsecureRequests] : [],
  });
}

async function exchange(config: oidc.Configuration, callback: URL, checks: oidc.AuthorizationCodeGrantChecks) {
  try {
    const tokens = await oidc.authorizationCodeGrant(config, callback, { ...checks, idTokenExpected: true });
    const claims = tokens.claims();
    if (claims === undefined || tokens.id_token === undefined) throw new TypeError('no ID token');
    // Many issuers give groups at the userinfo endpoint only.
    const more =
      config.serverMetadata().userinfo_endpoint === undefined
        ? {}
        : await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
    return { claims, more, idToken: tokens.id_token };
  } catch (cause) {
    throw refusalOf(cause);
  }
}

/**
 * Where the sign-in failed, for the person and for the log: in the issuer's answer to the browser, in its answer to the
 * console, or in a token that it sent.
 */
function refusalOf(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  if (cause instanceof oidc.AuthorizationResponseError) {
    return refusal('issuer_refused', 'The issuer refused the sign-in, or it was cancelled there.', cause, cause.error);
  }
  const error = cause instanceof oidc.ResponseBodyError ? cause.error : challengeOf(cause);
  if (error !== undefined)
    return refusal('exchange_refused', 'The issuer did not accept the console’s own request.', cause, error);
  return refusal('answer', 'The sign-in did not succeed: start it again from the console.', cause);
}

function challengeOf(cause: unknown): string | undefined {
  return cause instanceof oidc.WWWAuthenticateChallengeError
    ? (cause.cause[0]?.parameters.error ?? 'challenge')
    : undefined;
}

/**
 * `issuerError`: the OAuth error code that the issuer answered with (RFC 6749 section 4.1.2.1). One word, never a
 * sentence of the issuer.
 */
function refusal(check: string, detail: string, cause?: unknown, issuerError = ''): GatewayError {
  const members = { check, ...(/^[a-z0-9_]{1,64}$/.test(issuerError) && { issuerError }) };
  return new GatewayError('reviewer_unauthenticated', detail, { members, ...(cause !== undefined && { cause }) });
}

/** Read from one of the two, whole: an address in one and `email_verified` in the other need not belong together. */
function readPerson(
  idToken: Readonly<Record<string, unknown>>,
  userinfo: Readonly<Record<string, unknown>>,
  { personClaim }: BrowserSignInOptions,
): Pick<Reviewer, 'person'> {
  if (personClaim === undefined) return {};
  const person = personAt(idToken, personClaim) ?? personAt(userinfo, personClaim);
  if (person === undefined) throw personUnknown('Your sign-in', personClaim);
  return { person };
}

/** How a person signed in stands in the ID token alone: what userinfo says may be the person's own to write. */
function readReviewer(
  issuer: string,
  claims: Readonly<Record<string, unknown>>,
  idToken: Readonly<Record<string, unknown>>,
  options: BrowserSignInOptions,
): Reviewer {
  const { sub } = claims;
  const { acr, auth_time: authTime } = idToken;
  if (typeof sub !== 'string' || !isName(sub)) {
    throw refusal(
      'sub',
      'The issuer gives you a name (sub) with characters that nobody can see. ' +
        'Whoever manages your account can change that.',
    );
  }
  const name = claimAt(claims, options.displayClaim);
  const amr = textsAt(idToken, 'amr') ?? [];
  const strength = { ...(typeof acr === 'string' && { acr }), ...(amr.length > 0 && { amr }) };
  return {
    id: `${issuer}#${sub}`,
    issuer,
    subject: sub,
    // Groups that are not texts are ignored.
    groups: textsAt(claims, options.groupsClaim) ?? [],
    ...(typeof name === 'string' && { name }),
    ...strength,
    ...(isStrong(strength, options.stepUp) &&
      typeof authTime === 'number' && { authenticatedAt: Math.floor(authTime * 1000) }),
  };
}
