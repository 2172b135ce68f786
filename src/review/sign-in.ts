// Signing in at the organisation's own issuer: OpenID Connect authorization code flow with PKCE, state and nonce, by openid-client.
// Trusts that client's checks of the ID token, and the issuer for names and groups. Refuses a fresh sign-in that is not fresh.

import * as oidc from 'openid-client';
import type { EpochMs } from '../domain/clock.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import type { SecretSource } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';

export interface SignInOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Absent for a public client. */
  readonly clientSecret?: SecretSource;
  readonly clientAuth: 'basic' | 'post';
  readonly scope: string;
  /** The claim that lists the person's groups, in the ID token or at the userinfo endpoint. */
  readonly groupsClaim: string;
  /** Asked for with a fresh sign-in, as `acr_values`. */
  readonly acrValues: readonly string[];
  /** Which sign-ins count as step-up: one of these `acr`, and one of these `amr`, where listed. Empty: any. */
  readonly stepUp: { readonly acr: readonly string[]; readonly amr: readonly string[] };
  /** Where the issuer sends people back to. */
  readonly redirectUri: string;
  /** Where it sends them after signing out. */
  readonly signedOutUri: string;
  now(): EpochMs;
}

export interface SignIn {
  /** Where to send the browser, and what to keep until it comes back. Throws `issuer_unavailable`. */
  begin(to: string, fresh: boolean): Promise<{ readonly url: string; readonly transaction: string }>;
  /** Throws `reviewer_unauthenticated`, `issuer_unavailable`. */
  finish(callback: URL, transaction: string): Promise<{ readonly reviewer: Reviewer; readonly to: string }>;
  /** The issuer's own sign-out page (RP-Initiated Logout 1.0), where it has one. */
  signOutUrl(): Promise<string | undefined>;
}

interface Transaction {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly to: string;
  readonly fresh: boolean;
  readonly startedAt: EpochMs;
}

/** Clocks of issuers may run behind ours. */
const SKEW_MS = 60_000;

export function createSignIn(options: SignInOptions): SignIn {
  const { issuer, clientId, scope, redirectUri, signedOutUri, now } = options;
  let discovered: Promise<oidc.Configuration> | undefined;

  // At the first sign-in, not at the start: an issuer that is down must not keep the gateway down.
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
    async begin(to, fresh) {
      const config = await configuration();
      const transaction: Transaction = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
        ...{ to, fresh, startedAt: now() },
      };
      const parameters = {
        redirect_uri: redirectUri,
        response_type: 'code',
        scope,
        state: transaction.state,
        nonce: transaction.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(transaction.verifier),
        code_challenge_method: 'S256',
        // OIDC Core section 3.1.2.1: both ask for the person anew, and max_age makes auth_time part of the ID token.
        ...(fresh && { prompt: 'login', max_age: '0', ...(options.acrValues.length > 0 && { acr_values: options.acrValues.join(' ') }) }),
      };
      try {
        return { url: oidc.buildAuthorizationUrl(config, parameters).href, transaction: JSON.stringify(transaction) };
      } catch (cause) {
        throw new GatewayError('issuer_unavailable', 'The reviewers’ issuer names no sign-in page that a browser can open.', { cause });
      }
    },
    async finish(callback, kept) {
      const config = await configuration();
      const { state, nonce, verifier, to, fresh, startedAt } = JSON.parse(kept) as Transaction;
      const { claims, more } = await exchange(config, callback, { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier });
      const reviewer = readReviewer(issuer, { ...more, ...claims }, options);
      const signedIn = claims.auth_time === undefined ? undefined : claims.auth_time * 1000;
      if (fresh && (signedIn === undefined || signedIn < startedAt - SKEW_MS)) {
        throw new GatewayError('reviewer_unauthenticated', 'The issuer did not ask you to sign in anew, so this does not count as a fresh sign-in.');
      }
      return { reviewer, to };
    },
    async signOutUrl() {
      const config = await configuration().catch(() => undefined);
      if (config?.serverMetadata().end_session_endpoint === undefined) return undefined;
      try {
        return oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: signedOutUri, client_id: clientId }).href;
      } catch {
        // No web page, says the client. The session at this desk must end all the same.
        return undefined;
      }
    },
  };
}

async function discover({ issuer, clientId, clientSecret, clientAuth }: SignInOptions): Promise<oidc.Configuration> {
  const server = new URL(issuer);
  const secret = clientSecret?.read().reveal();
  const authentication = secret === undefined ? oidc.None() : clientAuth === 'post' ? oidc.ClientSecretPost(secret) : oidc.ClientSecretBasic(secret);
  return oidc.discovery(server, clientId, undefined, authentication, { execute: server.protocol === 'http:' ? [oidc.allowInsecureRequests] : [] });
}

async function exchange(config: oidc.Configuration, callback: URL, checks: oidc.AuthorizationCodeGrantChecks) {
  try {
    const tokens = await oidc.authorizationCodeGrant(config, callback, { ...checks, idTokenExpected: true });
    const claims = tokens.claims();
    if (claims === undefined) throw new TypeError('no ID token');
    // Many issuers give groups at the userinfo endpoint only.
    const more = config.serverMetadata().userinfo_endpoint === undefined ? {} : await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
    return { claims, more };
  } catch (cause) {
    const detail =
      cause instanceof oidc.AuthorizationResponseError
        ? 'The issuer refused the sign-in, or it was cancelled there.'
        : 'The sign-in did not succeed: start it again from the desk.';
    throw new GatewayError('reviewer_unauthenticated', detail, { cause });
  }
}

function readReviewer(issuer: string, claims: Readonly<Record<string, unknown>>, { groupsClaim, stepUp }: SignInOptions): Reviewer {
  const { sub, name, acr, auth_time: authTime } = claims;
  const amr = textsOf(claims.amr);
  const counts =
    (stepUp.acr.length === 0 || stepUp.acr.includes(String(acr))) && (stepUp.amr.length === 0 || stepUp.amr.some((method) => amr.includes(method)));
  return {
    id: `${issuer}#${sub}`,
    issuer,
    subject: String(sub),
    groups: textsOf(claims[groupsClaim]),
    ...(typeof name === 'string' && { name }),
    ...(typeof acr === 'string' && { acr }),
    ...(amr.length > 0 && { amr }),
    // A sign-in that is too weak for step-up is one whose time is not known: no tier takes it for fresh.
    ...(counts && typeof authTime === 'number' && { authenticatedAt: authTime * 1000 }),
  };
}

/** Groups in another shape than a list of texts are no groups. */
function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? value : [];
}
