// The gateway as an OAuth client: discovery, the token endpoint, revocation (RFC 6749, 8414, 7009), for every provider
// that speaks to one. Trusts the configured issuer over TLS (plain HTTP on loopback only). Refuses redirects, oversized
// and slow answers, tokens other than Bearer, and grants that are broader than what was asked for. No answer's text and
// no token ever becomes part of an error.

import {
  allowInsecureRequests,
  ClientError,
  Configuration,
  type CustomFetch,
  customFetch,
  discovery,
  genericGrantRequest,
  ResponseBodyError,
  type TokenEndpointResponse,
  tokenRevocation,
  WWWAuthenticateChallengeError,
} from 'openid-client';
import type { Grant, Minted } from '../../domain/credential.ts';
import { isJsonObject, type Json, presentMembers } from '../../domain/json.ts';
import { Secret } from '../../domain/secret.ts';
import { GatewayError } from '../../errors.ts';
import { isSecure } from '../../settings/addresses.ts';
import { UnwantedGrant, unavailable } from '../broker-provider.ts';
import { bounded, isFieldSafe, networkCode } from '../issuer-call.ts';
import { type ClientAuthOptions, clientAuth } from './client-auth.ts';
import { factsOf, grantRecord } from './granted.ts';
import {
  grantedScope,
  nameScopes,
  narrow,
  type OAuthBounds,
  type OAuthRequest,
  surplusScope,
  toParameters,
} from './scope.ts';

/** Where the issuer's endpoints are: discovered (OpenID Connect Discovery, RFC 8414), or given. */
export type OAuthEndpoints =
  | { readonly issuer: string }
  | { readonly tokenEndpoint: string; readonly revocationEndpoint?: string };

export interface OAuthClientOptions extends OAuthBounds {
  readonly endpoints: OAuthEndpoints;
  readonly authentication: ClientAuthOptions;
  readonly clientId: string;
  /** False leaves tokens to expire, for issuers whose tokens cannot be revoked. */
  readonly revoke: boolean;
  /** Bound on each request to the issuer. */
  readonly timeoutMs: number;
  /**
   * Tokens that live longer are refused and taken back; absent: no bound. A token of unstated lifetime is not refused.
   */
  readonly maxLifetimeMs?: number;
  /** Scopes that the issuer may give without being asked for them. */
  readonly tolerateScopes: readonly string[];
}

/** How long a token is used whose answer names no lifetime. */
const ASSUMED_LIFETIME_MS = 300_000;

export interface OAuthClient {
  /** How long tokens without a known expiry are used. */
  readonly reuseMs: number;
  /** Asks for a token, narrowed by the grant's plan, and checks the answer. Throws as CredentialProvider.mint. */
  mint(
    grant: Grant,
    grantType: string,
    parameters: Readonly<Record<string, string>>,
    check?: AnswerCheck,
  ): Promise<Minted>;
  /** RFC 7009. Throws `credential_unavailable` when the issuer could not be told. */
  revoke(handle: Secret): Promise<void>;
}

/** Says, as a sentence, why an answer is not acceptable; undefined when it is. */
type AnswerCheck = (answer: TokenEndpointResponse) => string | undefined;

/**
 * Nothing is fetched before the first mint. A signature or a claim of the token is not verified: that is for the
 * upstream to do.
 *
 * @example
 * const client = createOAuthClient({ endpoints: { issuer: 'https://idp.example.org' }, authentication, clientId, … });
 * const minted = await client.mint(grant, 'client_credentials', {});
 */
export function createOAuthClient(options: OAuthClientOptions): OAuthClient {
  const { timeoutMs } = options;
  let found: Promise<Configuration> | undefined;
  // This can also be learned: an issuer may have a revocation endpoint and answer that it cannot revoke such tokens.
  let irrevocable = !options.revoke;

  /** The issuer's metadata: fetched once, by the first caller, and again after a failure. */
  function configuration(): Promise<Configuration> {
    found ??= configure(options, guardedFetch(timeoutMs)).catch((thrown) => {
      found = undefined;
      throw thrown;
    });
    return found;
  }

  async function atIssuer<T>(request: (config: Configuration) => Promise<T>): Promise<T> {
    try {
      return await request(await configuration());
    } catch (thrown) {
      const code = errorCodeOf(thrown);
      // Not an answer of OAuth: the endpoint may have moved.
      if (code === undefined) found = undefined;
      if (code === 'unsupported_token_type') irrevocable = true;
      throw asFault(thrown);
    }
  }

  async function mint(
    grant: Grant,
    grantType: string,
    parameters: Readonly<Record<string, string>>,
    check?: AnswerCheck,
  ): Promise<Minted> {
    const asked = narrow(options, grant.plan.scope);
    const form = toParameters(asked);
    for (const [name, value] of Object.entries(parameters)) form.set(name, value);
    const { answer, canRevoke } = await atIssuer(async (config) => {
      const canRevoke = !irrevocable && config.serverMetadata().revocation_endpoint !== undefined;
      const answer = await genericGrantRequest(config, grantType, form).catch((thrown) => {
        throw canRevoke ? withUnreadToken(thrown) : thrown;
      });
      return { answer, canRevoke };
    });
    const { maxLifetimeMs = Number.POSITIVE_INFINITY, tolerateScopes } = options;
    return accept(answer, asked, {
      now: grant.now,
      canRevoke,
      maxLifetimeMs,
      tolerateScopes,
      actorToken: parameters.actor_token,
      check,
    });
  }

  async function revoke(handle: Secret): Promise<void> {
    const [accessToken = '', refreshToken] = handle.reveal().split('\n');
    const tell = (token: string, hint: string): Promise<void> =>
      atIssuer((config) => tokenRevocation(config, token, { token_type_hint: hint }).catch(unlessGone));
    // Each token is revoked on its own: when one cannot be revoked, the other still is.
    const told = await Promise.allSettled([
      ...(refreshToken === undefined ? [] : [tell(refreshToken, 'refresh_token')]),
      tell(accessToken, 'access_token'),
    ]);
    for (const one of told) if (one.status === 'rejected') throw one.reason;
  }

  return { reuseMs: ASSUMED_LIFETIME_MS, mint, revoke };
}

/** RFC 7009 section 2.2 answers 200 for an unknown token. Servers that answer with one of these errors mean the same. */
const GONE: ReadonlySet<string> = new Set([
  'invalid_token',
  'token_expired',
  'expired_token',
  'token_inactive',
  'inactive_token',
  'token_revoked',
  'token_not_found',
  'not_found',
  'invalid_grant',
]);

function unlessGone(thrown: unknown): void {
  if (!GONE.has(errorCodeOf(thrown) ?? '')) throw thrown;
}

interface GrantTerms {
  readonly now: number;
  readonly tolerateScopes: readonly string[];
  readonly actorToken: string | undefined;
  readonly canRevoke: boolean;
  readonly maxLifetimeMs: number;
  readonly check: AnswerCheck | undefined;
}

function accept(
  answer: TokenEndpointResponse,
  asked: OAuthRequest,
  { now, canRevoke, maxLifetimeMs, tolerateScopes, actorToken, check }: GrantTerms,
): Minted {
  const tokens = [answer.access_token, ...(answer.refresh_token === undefined ? [] : [answer.refresh_token])];
  const ends = {
    ...(answer.expires_in !== undefined && { expiresAt: now + Math.floor(answer.expires_in * 1000) }),
    ...(canRevoke && { handle: new Secret(tokens.join('\n')) }),
  };
  const token = factsOf(answer.access_token);
  // Where the answer says no scope, the token may say it.
  const granted =
    answer.scope === undefined && token.scope !== undefined ? token.scope : grantedScope(asked, answer.scope);
  const surplus = surplusScope(asked, [...granted, ...(token.scope ?? [])], tolerateScopes);
  if (surplus.length > 0) {
    throw new UnwantedGrant(
      'credential_too_broad',
      `The issuer granted a broader scope than the one asked for: ${nameScopes(surplus)}.`,
      ends,
    );
  }
  if ((answer.expires_in ?? 0) * 1000 > maxLifetimeMs)
    throw new UnwantedGrant('credential_too_broad', 'The issuer made a token that lives too long.', ends);
  const fault = unfit(answer) ?? check?.(answer);
  if (fault !== undefined) throw new UnwantedGrant('credential_unavailable', fault, ends);
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${answer.access_token}`) },
    secrets: tokens.map((token) => new Secret(token)),
    revocability: canRevoke ? 'token' : 'none',
    granted: grantRecord(asked, granted, token, actorToken),
    ...ends,
  };
}

function unfit({ access_token, token_type }: TokenEndpointResponse): string | undefined {
  if (token_type !== 'bearer') return 'The issuer made a token of a type other than Bearer.';
  // RFC 6749 appendix A.12: a token is visible ASCII. Anything else could end the header line that it is put on.
  if (!isFieldSafe(access_token)) return 'The issuer made a token that cannot be put into a header.';
  return undefined;
}

async function configure(
  { endpoints, authentication, clientId, timeoutMs }: OAuthClientOptions,
  fetch: CustomFetch,
): Promise<Configuration> {
  const timeout = timeoutMs / 1000;
  if ('tokenEndpoint' in endpoints) {
    const { tokenEndpoint, revocationEndpoint } = endpoints;
    const server = {
      issuer: new URL(tokenEndpoint).origin,
      token_endpoint: tokenEndpoint,
      ...(revocationEndpoint !== undefined && { revocation_endpoint: revocationEndpoint }),
    };
    const config = new Configuration(server, clientId, undefined, clientAuth(authentication, tokenEndpoint));
    config[customFetch] = fetch;
    config.timeout = timeout;
    // The guarded fetch lets plain HTTP through to loopback only.
    allowInsecureRequests(config);
    return config;
  }
  const authenticate = clientAuth(authentication, undefined);
  const discover = (algorithm: 'oidc' | 'oauth2') =>
    discovery(new URL(endpoints.issuer), clientId, undefined, authenticate, {
      algorithm,
      timeout,
      [customFetch]: fetch,
      execute: [allowInsecureRequests],
    });
  try {
    return await discover('oidc');
  } catch (thrown) {
    // An authorization server that is no OpenID provider publishes its metadata elsewhere (RFC 8414 section 3).
    if (thrown instanceof ClientError && thrown.code === 'OAUTH_RESPONSE_IS_NOT_CONFORM') return discover('oauth2');
    throw thrown;
  }
}

function guardedFetch(timeoutMs: number): CustomFetch {
  return async (url, { body, duplex: _, ...init }) => {
    // Discovered endpoints come here too: metadata cannot lead a secret to plain HTTP.
    if (!isSecure(new URL(url)))
      throw unavailable('The issuer names an endpoint that is neither https nor on loopback.');
    const signal = init.signal ?? AbortSignal.timeout(timeoutMs);
    const sent = { ...init, signal, ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }) };
    return withoutNulls(await bounded(await fetch(url, sent)));
  };
}

/** The library does not take null for absence: an answer without the members of its JSON object that are null. */
async function withoutNulls(response: Response): Promise<Response> {
  let answer: Json;
  try {
    answer = (await response.clone().json()) as Json;
  } catch {
    return response;
  }
  if (!isJsonObject(answer)) return response;
  const { status, headers } = response;
  return new Response(JSON.stringify(presentMembers(answer)), { status, headers });
}

// The library's errors carry the answer's body, and with it tokens: none of them is kept as a cause.
function asFault(thrown: unknown): GatewayError {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1)
    if (error instanceof GatewayError) return error;
  const code = errorCodeOf(thrown);
  if (code !== undefined) return unavailable(`The issuer refused: ${code}.`);
  if (thrown instanceof ClientError && thrown.code === 'OAUTH_TIMEOUT')
    return unavailable('The issuer did not answer in time.');
  if (thrown instanceof ClientError && thrown.code !== undefined)
    return unavailable(`The issuer’s answer is not acceptable: ${thrown.code}.`);
  return unavailable(`The issuer cannot be reached${networkCode(thrown)}.`);
}

/** An answer that the library refused to read may still hold a token: it exists, so it must be taken back. */
function withUnreadToken(thrown: unknown): unknown {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    const token = (error.cause as { body?: { access_token?: unknown } } | undefined)?.body?.access_token;
    if (typeof token === 'string')
      return new UnwantedGrant('credential_unavailable', asFault(thrown).detail, { handle: new Secret(token) });
  }
  return thrown;
}

/** The error code of an OAuth answer (RFC 6749 section 5.2), when there was one and it is spelled like one. */
function errorCodeOf(thrown: unknown): string | undefined {
  let code: unknown;
  if (thrown instanceof ResponseBodyError) code = thrown.error;
  if (thrown instanceof WWWAuthenticateChallengeError) code = thrown.cause[0]?.parameters.error ?? 'invalid_client';
  return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? code : undefined;
}
