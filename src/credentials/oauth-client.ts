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
import type { Grant, Minted } from '../domain/credential.ts';
import { Secret } from '../domain/secret.ts';
import { GatewayError } from '../errors.ts';
import { bounded, isProtected, requireProtected, withoutNulls } from './bounded-fetch.ts';
import { UnwantedGrant, unavailable } from './broker-provider.ts';
import { type ClientAuthOptions, clientAuth } from './oauth-client-auth.ts';
import { factsOf, grantRecord } from './oauth-granted.ts';
import {
  grantedScope,
  nameScopes,
  narrow,
  type OAuthBounds,
  type OAuthRequest,
  surplusScope,
  toParameters,
} from './oauth-scope.ts';

/**
 * Where the issuer's endpoints are: discovered (OpenID Connect Discovery, RFC 8414), or given. https, or http on
 * loopback.
 */
type Endpoints = { readonly issuer: string } | { readonly tokenEndpoint: string; readonly revocationEndpoint?: string };

export type OAuthClientOptions = OAuthBounds &
  ClientAuthOptions &
  Endpoints & {
    readonly clientId: string;
    /** False leaves tokens to expire, for issuers whose tokens cannot be revoked. Default true. */
    readonly revoke?: boolean;
    /** Bound on each request to the issuer, ms; default 5,000. */
    readonly timeoutMs?: number;
    /**
     * Tokens that live longer than this, ms, are refused and taken back; default: no bound. A token of unstated
     * lifetime is not refused.
     */
    readonly maxLifetimeMs?: number;
    /** Scopes that the issuer may give beside those asked for; default none. */
    readonly tolerateScopes?: readonly string[];
    /** How long a token whose answer names no lifetime is used, ms; default 300,000. */
    readonly assumedLifetimeMs?: number;
    /** Default: the runtime's fetch. */
    readonly fetch?: typeof globalThis.fetch;
  };

export interface OAuthClient {
  /** How long tokens without a known expiry are used, ms. */
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

/** Throws TypeError for endpoints that are neither https nor http on loopback. */
export function createOAuthClient(options: OAuthClientOptions): OAuthClient {
  const timeoutMs = options.timeoutMs ?? 5_000;
  requireProtected(...('issuer' in options ? [options.issuer] : [options.tokenEndpoint, options.revocationEndpoint]));
  let found: Promise<Configuration> | undefined;
  // May also be learned: an issuer has a revocation endpoint, and answers that tokens of this kind cannot be revoked
  // there.
  let irrevocable = options.revoke === false;

  /** The issuer's metadata: fetched once, by whoever asks first, and again after a failure. */
  function configuration(): Promise<Configuration> {
    found ??= configure(options, guardedFetch(options.fetch ?? fetch, timeoutMs), timeoutMs).catch((thrown) => {
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
    const { maxLifetimeMs = Number.POSITIVE_INFINITY, tolerateScopes = [] } = options;
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
    // Each by itself: one that cannot be taken back does not keep the other.
    const told = await Promise.allSettled([
      ...(refreshToken === undefined ? [] : [tell(refreshToken, 'refresh_token')]),
      tell(accessToken, 'access_token'),
    ]);
    for (const one of told) if (one.status === 'rejected') throw one.reason;
  }

  return { reuseMs: options.assumedLifetimeMs ?? 300_000, mint, revoke };
}

/** RFC 7009 section 2.2 answers 200 for a token that is unknown; servers that say so in an error mean the same. */
const GONE: ReadonlySet<string> = new Set([
  ...[
    'invalid_token',
    'token_expired',
    'expired_token',
    'token_inactive',
    'inactive_token',
    'token_revoked',
    'token_not_found',
    'not_found',
    'invalid_grant',
  ],
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
  // Where the answer is silent the token may speak.
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
  if (!/^[\x21-\x7e]+$/.test(access_token)) return 'The issuer made a token that cannot be put into a header.';
  return undefined;
}

async function configure(options: OAuthClientOptions, fetch: CustomFetch, timeoutMs: number): Promise<Configuration> {
  const authentication = clientAuth(options, 'issuer' in options ? undefined : options.tokenEndpoint);
  const timeout = timeoutMs / 1000;
  if (!('issuer' in options)) {
    const { tokenEndpoint, revocationEndpoint } = options;
    const server = {
      issuer: new URL(tokenEndpoint).origin,
      token_endpoint: tokenEndpoint,
      ...(revocationEndpoint && { revocation_endpoint: revocationEndpoint }),
    };
    const config = new Configuration(server, options.clientId, undefined, authentication);
    config[customFetch] = fetch;
    config.timeout = timeout;
    // The guarded fetch lets plain HTTP through to loopback only.
    allowInsecureRequests(config);
    return config;
  }
  const { issuer, clientId } = options;
  const discover = (algorithm: 'oidc' | 'oauth2') =>
    discovery(new URL(issuer), clientId, undefined, authentication, {
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

function guardedFetch(send: typeof globalThis.fetch, timeoutMs: number): CustomFetch {
  return async (url, { body, duplex: _, ...init }) => {
    // Discovered endpoints come here too: metadata cannot lead a secret to plain HTTP.
    if (!isProtected(new URL(url)))
      throw unavailable('The issuer names an endpoint that is neither https nor on loopback.');
    const signal = init.signal ?? AbortSignal.timeout(timeoutMs);
    return withoutNulls(
      await bounded(
        await send(url, {
          ...init,
          signal,
          ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }),
        }),
      ),
    );
  };
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
  return unavailable(`The issuer cannot be reached${networkCodeOf(thrown)}.`);
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

function networkCodeOf(thrown: unknown): string {
  const code =
    thrown instanceof Error && thrown.cause instanceof Error ? (thrown.cause as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && /^\w{1,40}$/.test(code) ? ` (${code})` : '';
}
