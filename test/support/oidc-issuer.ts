// A real oidc-provider on 127.0.0.1 for tests: clients and resources as the test wants them, token exchange (RFC 8693)
// as a grant of its own, every request counted. It can be stopped and resumed on its port (an outage), and its token
// answers can be altered after a real token was made (a hostile or careless issuer).

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import Provider, { type Artifact, type Client, type Context, errors } from 'oidc-provider';
import { createIssuerStorage } from '../../config/quickstart/issuer-storage.ts';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

interface IssuerClient {
  readonly id: string;
  /** Absent for clients that prove themselves by a key. */
  readonly secret?: string;
  /** The public keys of a client with `private_key_jwt`. */
  readonly keys?: readonly JWK[];
  /** Further claims in this client's JWT access tokens, for example `{ groups: ["finance"] }`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Default `client_secret_basic`. */
  readonly authentication?: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt';
  /** The resource that its tokens are for when a request names none. */
  readonly resource?: string;
  /** Of the issuer's own `scopes`, those that it may ask for; another one is answered with invalid_scope. */
  readonly scope?: string;
}

interface IssuerResource {
  /** The scopes that exist there, between spaces; others are left out of what is granted. */
  readonly scope: string;
  /** Default: the resource indicator itself. */
  readonly audience?: string;
  /** Opaque tokens can be revoked and introspected; JWTs (ES256) cannot. Default `opaque`. */
  readonly format?: 'opaque' | 'jwt';
  /** Default 300. */
  readonly ttlSeconds?: number;
}

export interface IssuerOptions {
  readonly clients: readonly IssuerClient[];
  /** By resource indicator, an absolute URI (RFC 8707). */
  readonly resources?: Readonly<Record<string, IssuerResource>>;
  /** Scopes of the issuer's own, for clients with a `scope`. */
  readonly scopes?: readonly string[];
  /**
   * Other issuers whose JWTs are taken as assertions, subject tokens and actor tokens (RFC 7523, RFC 8693): their keys,
   * or where they are published.
   */
  readonly trusts?: Readonly<Record<string, { readonly keys: readonly JWK[] } | { readonly jwksUri: string }>>;
  /** False leaves the revocation endpoint out. Default true. */
  readonly revocation?: boolean;
  /** Alters an answer of the token endpoint after the token was made, or keeps it back. */
  readonly alter?: (answer: Record<string, unknown>) => Record<string, unknown> | Promise<Record<string, unknown>>;
}

export interface TestIssuer {
  /** The issuer identifier, for example `http://127.0.0.1:41234`. */
  readonly issuer: string;
  readonly url: URL;
  readonly provider: Provider;
  /**
   * How many requests came in for a path: `/token`, `/token/revocation`, `/token/introspection`, `/jwks`,
   * `/.well-known/openid-configuration`.
   */
  requests(path: string): number;
  /** The parameters of every token request that was answered, in order. */
  readonly tokenRequests: readonly Readonly<Record<string, unknown>>[];
  /** A token by client_credentials, over HTTP. */
  token(clientId: string, options?: { readonly resource?: string; readonly scope?: string }): Promise<string>;
  /**
   * A JWT signed with the issuer's key. Default claims: iss, iat, exp in five minutes, jti; `undefined` leaves one out.
   */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** RFC 7662, asked by the first client. */
  introspect(token: string): Promise<Readonly<Record<string, unknown>>>;
  isActive(token: string): Promise<boolean>;
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

export async function startIssuer(options: IssuerOptions): Promise<TestIssuer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const kid = randomUUID();

  const provider = new Provider(
    issuer,
    configuration(options, { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }),
  );
  const counts = new Map<string, number>();
  const tokenRequests: Readonly<Record<string, unknown>>[] = [];
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route !== 'token') return;
    tokenRequests.push({ ...ctx.oidc.params });
    if (ctx.status === 200 && options.alter !== undefined)
      ctx.body = await options.alter(ctx.body as Record<string, unknown>);
  });
  const verify = (token: unknown) => claimsOf(String(token), issuer, publicKey, options);
  provider.registerGrantType(JWT_BEARER, (ctx) => bearer(provider, options, ctx, verify), [
    'assertion',
    'audience',
    'resource',
    'scope',
  ]);
  provider.registerGrantType(EXCHANGE, (ctx) => exchange(provider, options, ctx, verify), [
    'subject_token',
    'subject_token_type',
    'actor_token',
    'actor_token_type',
    'requested_token_type',
    'audience',
    'resource',
    'scope',
  ]);
  server.on('request', (request) => {
    const path = request.url?.split('?', 1)[0] ?? '';
    counts.set(path, (counts.get(path) ?? 0) + 1);
  });
  server.on('request', provider.callback());

  const post = async (
    path: string,
    clientId: string,
    parameters: Record<string, string>,
  ): Promise<Record<string, unknown>> => {
    const client = options.clients.find(({ id }) => id === clientId);
    if (client === undefined) throw new Error(`the issuer has no client ${clientId}`);
    const body = new URLSearchParams(parameters);
    const headers: Record<string, string> = {};
    if (client.authentication === 'client_secret_post') {
      body.set('client_id', client.id);
      body.set('client_secret', client.secret ?? '');
    } else {
      headers.authorization = `Basic ${btoa(`${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret ?? '')}`)}`;
    }
    const response = await fetch(`${issuer}${path}`, { method: 'POST', headers, body });
    return (await response.json()) as Record<string, unknown>;
  };

  const introspect = (token: string) => post('/token/introspection', options.clients[0]?.id ?? '', { token });

  const stop = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };

  return {
    issuer,
    url: new URL(issuer),
    provider,
    requests: (path) => counts.get(path) ?? 0,
    tokenRequests,
    async token(clientId, { resource, scope } = {}) {
      const answer = await post('/token', clientId, {
        grant_type: 'client_credentials',
        ...(resource && { resource }),
        ...(scope && { scope }),
      });
      if (typeof answer.access_token !== 'string')
        throw new Error(`the issuer refused: ${answer.error} ${answer.error_description}`);
      return answer.access_token;
    },
    sign(claims, header = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: issuer, iat: now, exp: now + 300, jti: randomUUID(), ...claims };
      return new SignJWT(payload as JWTPayload)
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header })
        .sign(privateKey);
    },
    introspect,
    isActive: async (token) => (await introspect(token)).active === true,
    stop,
    async resume() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    close: stop,
  };
}

function configuration(options: IssuerOptions, jwk: object): Record<string, unknown> {
  const clients = new Map(options.clients.map((client) => [client.id, client]));
  const lifetime = (_ctx: Context, token: Artifact) => token.resourceServer?.accessTokenTTL ?? 300;
  return {
    adapter: createIssuerStorage(),
    jwks: { keys: [jwk] },
    cookies: { keys: [randomUUID()] },
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: ['openid', ...(options.scopes ?? [])],
    clients: options.clients.map((client) => ({
      client_id: client.id,
      ...(client.secret !== undefined && { client_secret: client.secret }),
      ...(client.keys !== undefined && { jwks: { keys: client.keys } }),
      token_endpoint_auth_method: client.authentication ?? 'client_secret_basic',
      grant_types: ['client_credentials', EXCHANGE, JWT_BEARER],
      redirect_uris: [],
      response_types: [],
      ...(client.scope !== undefined && { scope: client.scope }),
    })),
    extraTokenClaims: (ctx: Context, token: Artifact) => ({
      ...clients.get(token.clientId ?? '')?.claims,
      ...actOf(ctx),
    }),
    routes: { token: '/token', introspection: '/token/introspection', revocation: '/token/revocation', jwks: '/jwks' },
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      Grant: 600,
      IdToken: 600,
      Interaction: 600,
      Session: 600,
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: {
        enabled: options.revocation ?? true,
        allowedPolicy: (_ctx: Context, client: Client, token: Artifact) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx: Context, client: Client, oneOf?: readonly string[]) =>
          oneOf ?? clients.get(client.clientId)?.resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx: Context, indicator: string) => resourceInfo(options, indicator),
      },
    },
  };
}

function resourceInfo(options: IssuerOptions, indicator: string): Record<string, unknown> {
  const resource = options.resources?.[indicator];
  if (resource === undefined) throw refusal('InvalidTarget', 'there is no such resource');
  const jwt = resource.format === 'jwt';
  return {
    audience: resource.audience ?? indicator,
    scope: resource.scope,
    accessTokenTTL: resource.ttlSeconds ?? 300,
    accessTokenFormat: jwt ? 'jwt' : 'opaque',
    ...(jwt && { jwt: { sign: { alg: 'ES256' } } }),
  };
}

type Verify = (token: unknown) => Promise<JWTPayload | undefined>;

/** Who acts in an exchange: the actor token's subject, else the client. */
const actors = new WeakMap<Context, string>();

/** RFC 8693 over tokens of this issuer and of those that it trusts: the subject stays. */
async function exchange(provider: Provider, options: IssuerOptions, ctx: Context, verify: Verify): Promise<void> {
  const { client, params = {} } = ctx.oidc;
  const subject = (await verify(params.subject_token))?.sub;
  if (client === undefined || subject === undefined)
    throw refusal('InvalidGrant', 'the subject token is not acceptable');
  if (params.actor_token !== undefined) {
    const actor = (await verify(params.actor_token))?.sub;
    if (actor === undefined) throw refusal('InvalidGrant', 'the actor token is not acceptable');
    actors.set(ctx, actor);
  }
  await grantFor(provider, options, ctx, subject, { issued_token_type: ACCESS_TOKEN });
}

/** RFC 7523 section 2.1: the assertion is addressed to this issuer. */
async function bearer(provider: Provider, options: IssuerOptions, ctx: Context, verify: Verify): Promise<void> {
  const claims = await verify(ctx.oidc.params?.assertion);
  if (claims?.sub === undefined || claims.aud !== provider.issuer)
    throw refusal('InvalidGrant', 'the assertion is not acceptable');
  await grantFor(provider, options, ctx, claims.sub, {});
}

async function grantFor(
  provider: Provider,
  options: IssuerOptions,
  ctx: Context,
  subject: string,
  more: object,
): Promise<void> {
  const { client, params = {} } = ctx.oidc;
  const indicator = String(params.resource);
  const info = resourceInfo(options, indicator);
  const existing = new Set(String(info.scope).split(' '));
  const scope = String(params.scope ?? info.scope)
    .split(' ')
    .filter((value) => existing.has(value))
    .join(' ');
  const token = new provider.AccessToken({
    accountId: subject,
    client,
    gty: 'token-exchange',
    resourceServer: new provider.ResourceServer(indicator, info),
    scope,
  });
  ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration, scope, ...more };
}

async function claimsOf(
  token: string,
  own: string,
  key: CryptoKey,
  { trusts = {} }: IssuerOptions,
): Promise<JWTPayload | undefined> {
  try {
    const { iss = '' } = decodeJwt(token);
    if (iss === own) return (await jwtVerify(token, key)).payload;
    const trusted = trusts[iss];
    if (trusted === undefined) return undefined;
    const keys =
      'keys' in trusted ? createLocalJWKSet({ keys: [...trusted.keys] }) : createRemoteJWKSet(new URL(trusted.jwksUri));
    return (await jwtVerify(token, keys)).payload;
  } catch {
    return undefined;
  }
}

function actOf(ctx: Context): Record<string, unknown> {
  const { client, params } = ctx.oidc;
  return params?.grant_type === EXCHANGE && client !== undefined
    ? { act: { sub: actors.get(ctx) ?? client.clientId } }
    : {};
}

function refusal(name: string, why: string): Error {
  const Refusal = errors[name];
  return Refusal === undefined ? new Error(why) : new Refusal(why);
}
