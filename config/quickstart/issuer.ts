// A real OpenID Connect issuer on this machine, for the quickstart and the tests: access tokens for agents and
// reviewers (JWT, ES256), opaque tokens for the ledger that can be taken back (RFC 7009), the device flow for the
// terminal. Never for anything but 127.0.0.1: it asks for no password. Each client gets tokens for one audience only,
// so an agent's token is of no use at the ledger.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import Provider, { type Artifact, type Client, type Context, errors, interactionPolicy } from 'oidc-provider';
import {
  renderCodeConfirm,
  renderCodeInput,
  renderError,
  renderSignedOut,
  renderSignIn,
  renderSignOut,
  renderSuccess,
  USERS,
} from './issuer-pages.ts';
import { createIssuerStorage } from './issuer-storage.ts';

/** For scripts: a token of a named user without a browser. Exists at this issuer only. */
const SIGN_IN_GRANT = 'urn:countersign:quickstart:sign-in';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export interface IssuerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Keeps the signing key and the clients' secrets, mode 0600, so that tokens stay valid over a restart. */
  readonly dataDir: string;
  /** The audience of the gateway: an absolute URI. */
  readonly gatewayAudience: string;
  /** The audience of the ledger: an absolute URI. */
  readonly ledgerAudience: string;
  /** The audience of the reviewers' API; default `countersign-review`. */
  readonly reviewAudience?: string;
  /** Where the reviewers' pages are; without it nobody can sign in to them. */
  readonly deskUrl?: string;
}

/** Whom a token can be made for: the agent itself, the agent acting for alice (RFC 8693 `act`), or a reviewer. */
export type TokenHolder = 'agent' | 'agent-for-alice' | 'alice' | 'bob' | 'mallory';

export interface QuickstartIssuer {
  /** The issuer identifier. */
  readonly issuer: string;
  readonly clients: Readonly<
    Record<
      'agent' | 'countersign' | 'ledger' | 'desk',
      { readonly clientId: string; readonly clientSecret: string; readonly secretFile: string }
    >
  >;
  /** A fresh token, had over HTTP like any other. */
  token(holder: TokenHolder): Promise<string>;
  /** How many requests came in for this path, for example `/token`; with a client id, only that client's. */
  requests(path: string, clientId?: string): number;
  close(): Promise<void>;
}

export async function startQuickstartIssuer(options: IssuerOptions): Promise<QuickstartIssuer> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const server = createServer();
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const clients = {
    agent: secretClient(options.dataDir, 'agent'),
    countersign: secretClient(options.dataDir, 'countersign'),
    ledger: secretClient(options.dataDir, 'ledger'),
    desk: secretClient(options.dataDir, 'desk'),
  };
  const provider = new Provider(issuer, await configuration(options, clients));
  const counts = new Map<string, number>();
  provider.use(async (ctx, next) => {
    const { path } = ctx;
    count(counts, path);
    try {
      await next();
    } finally {
      const clientId = ctx.oidc?.client?.clientId;
      if (clientId !== undefined) count(counts, `${path} ${clientId}`);
    }
  });
  registerSignInGrant(provider, options);
  const handle = provider.callback();
  server.on('request', (req, res) => {
    if (req.url?.startsWith('/sign-in/')) void signIn(provider, req, res);
    else handle(req, res);
  });

  return {
    issuer,
    clients,
    token: (holder) => requestToken(issuer, holder, clients.agent.clientSecret),
    requests: (path, clientId) => counts.get(clientId === undefined ? path : `${path} ${clientId}`) ?? 0,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Asks a running local issuer for a token. Throws with the issuer's own words when it refuses. */
export async function requestToken(issuer: string, holder: TokenHolder, agentSecret: string): Promise<string> {
  const parameters = new URLSearchParams(
    holder === 'agent'
      ? { grant_type: 'client_credentials', client_id: 'agent', client_secret: agentSecret }
      : holder === 'agent-for-alice'
        ? { grant_type: SIGN_IN_GRANT, client_id: 'agent', client_secret: agentSecret, username: 'alice' }
        : { grant_type: SIGN_IN_GRANT, client_id: 'countersign-cli', username: holder },
  );
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: parameters });
  const answer = (await response.json()) as { access_token?: string; error?: string; error_description?: string };
  if (answer.access_token === undefined)
    throw new Error(`the issuer refused: ${answer.error} ${answer.error_description ?? ''}`);
  return answer.access_token;
}

async function configuration(
  options: IssuerOptions,
  clients: QuickstartIssuer['clients'],
): Promise<Record<string, unknown>> {
  const day = 24 * 60 * 60;
  const secret = ({ clientId, clientSecret }: { clientId: string; clientSecret: string }, grants: string[]) => ({
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: grants,
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  });
  return {
    adapter: createIssuerStorage(),
    jwks: { keys: [await signingKey(options.dataDir)] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clientBasedCORS: () => false,
    clients: [
      secret(clients.agent, ['client_credentials', SIGN_IN_GRANT]),
      { ...secret(clients.countersign, ['client_credentials']), token_endpoint_auth_method: 'client_secret_basic' },
      { ...secret(clients.ledger, []), token_endpoint_auth_method: 'client_secret_basic' },
      {
        client_id: 'countersign-cli',
        client_name: 'The countersign command',
        // The code flow is for fresh sign-ins, which come back to any port of the loopback (RFC 8252 section 7.3).
        application_type: 'native',
        grant_types: [DEVICE_GRANT, SIGN_IN_GRANT, 'authorization_code'],
        redirect_uris: ['http://127.0.0.1/callback'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      ...(options.deskUrl === undefined ? [] : [deskClient(clients.desk, options.deskUrl)]),
    ],
    claims: { openid: ['sub'], profile: ['name', 'groups'] },
    pkce: { required: () => true },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    findAccount: (_ctx: Context, id: string) =>
      id in USERS ? { accountId: id, claims: async () => ({ sub: id, ...USERS[id] }) } : undefined,
    extraTokenClaims: (ctx: Context, token: Artifact) => userClaims(ctx, token),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true, logoutSource: renderSignOut, postLogoutSuccessSource: renderSignedOut },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: renderCodeInput,
        userCodeConfirmSource: renderCodeConfirm,
        successSource: renderSuccess,
      },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx: Context, client: Client) => client.clientId === clients.ledger.clientId,
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx: Context, client: Client, token: Artifact) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx: Context, client: Client, oneOf?: readonly string[]) =>
          oneOf ?? resourceOf(options, client.clientId),
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx: Context, resource: string, client: Client) => {
          if (resource !== resourceOf(options, client.clientId)) throw new (errors.InvalidTarget as new () => Error)();
          return resourceInfo(options, client.clientId);
        },
      },
    },
    interactions: {
      url: (_ctx: Context, interaction: { uid: string }) => `/sign-in/${interaction.uid}`,
      policy: alwaysAsk(),
    },
    loadExistingGrant: (ctx: Context) => grantAll(ctx),
    renderError,
    routes: { token: '/token', introspection: '/token/introspection', revocation: '/token/revocation' },
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      DeviceCode: 600,
      Grant: day,
      IdToken: 600,
      Interaction: 600,
      Session: day,
    },
  };
}

/** The reviewers' pages: authorization code, PKCE, and a sign-out that comes back. */
function deskClient(
  { clientId, clientSecret }: { clientId: string; clientSecret: string },
  deskUrl: string,
): Record<string, unknown> {
  return {
    client_id: clientId,
    client_secret: clientSecret,
    client_name: 'The reviewers’ console',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [`${deskUrl}/sign-in/callback`],
    post_logout_redirect_uris: [`${deskUrl}/signed-out`],
    require_auth_time: true,
    token_endpoint_auth_method: 'client_secret_basic',
  };
}

/** Seconds, as the token's audience has it. */
const lifetime = (_ctx: Context, token: Artifact): number => token.resourceServer?.accessTokenTTL ?? 600;

/** The one resource (RFC 8707) that a client gets tokens for. */
function resourceOf(options: IssuerOptions, clientId: string): string | undefined {
  if (clientId === 'agent') return options.gatewayAudience;
  if (clientId === 'countersign') return options.ledgerAudience;
  if (clientId === 'countersign-cli') return REVIEW_RESOURCE;
  return undefined;
}

// A resource indicator has to be a URI; the audience in the token need not be.
const REVIEW_RESOURCE = 'urn:countersign:review';

function resourceInfo(options: IssuerOptions, clientId: string): Record<string, unknown> {
  const jwt = { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
  if (clientId === 'agent') return { ...jwt, audience: options.gatewayAudience, scope: 'call', accessTokenTTL: 900 };
  // A token that can be revoked is one that the issuer keeps: it is opaque, and the ledger asks about it (RFC 7662).
  if (clientId === 'countersign') {
    return {
      accessTokenFormat: 'opaque',
      audience: options.ledgerAudience,
      scope: 'ledger:read ledger:write',
      accessTokenTTL: 300,
    };
  }
  return { ...jwt, audience: options.reviewAudience ?? 'countersign-review', scope: 'review', accessTokenTTL: 600 };
}

function userClaims(ctx: Context, token: Artifact): Record<string, unknown> | undefined {
  const user = token.accountId === undefined ? undefined : USERS[token.accountId];
  if (user === undefined) return undefined;
  return {
    name: user.name,
    groups: user.groups,
    auth_time:
      ctx.oidc.entities.DeviceCode?.authTime ??
      ctx.oidc.entities.AuthorizationCode?.authTime ??
      Math.floor(Date.now() / 1000),
    ...(token.clientId === 'agent' && { act: { sub: 'agent' } }),
  };
}

function registerSignInGrant(provider: Provider, options: IssuerOptions): void {
  provider.registerGrantType(
    SIGN_IN_GRANT,
    async (ctx) => {
      const { client, params } = ctx.oidc;
      const username = String(params?.username);
      if (client === undefined || !Object.hasOwn(USERS, username))
        throw new (errors.InvalidGrant as new (why: string) => Error)('no such user');
      const info = resourceInfo(options, client.clientId);
      const token = new provider.AccessToken({
        accountId: username,
        client,
        gty: SIGN_IN_GRANT,
        resourceServer: new provider.ResourceServer(resourceOf(options, client.clientId) ?? '', info),
        scope: info.scope,
      });
      ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration };
    },
    ['username'],
  );
}

/** One person tries several users in one browser, so a session never answers for them. */
function alwaysAsk(): unknown {
  const policy = interactionPolicy.base();
  const { Check } = interactionPolicy;
  policy
    .get('login')
    ?.checks.add(
      new Check('always_ask', 'choose who you are', (ctx) =>
        ctx.oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    );
  // Choosing a user is all the consent there is, for native clients, too.
  policy.get('consent')?.checks.remove('native_client_prompt');
  return policy;
}

/** Choosing a user is all the consent there is. */
async function grantAll(ctx: Context): Promise<unknown> {
  const { client, session } = ctx.oidc;
  if (client === undefined || session?.accountId === undefined) return undefined;
  const { Grant } = ctx.oidc.provider;
  const grant = new Grant({ accountId: session.accountId, clientId: client.clientId });
  grant.addOIDCScope('openid profile');
  for (const [resource, { scope }] of Object.entries(ctx.oidc.resourceServers)) grant.addResourceScope(resource, scope);
  await grant.save();
  return grant;
}

async function signIn(provider: Provider, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    const { uid } = await provider.interactionDetails(req, res);
    if (req.method !== 'POST') {
      res
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
        .end(renderSignIn(`/sign-in/${uid}`));
      return;
    }
    let body = '';
    for await (const chunk of req) if (body.length < 1024) body += chunk;
    const user = new URLSearchParams(body).get('user') ?? '';
    const result = Object.hasOwn(USERS, user)
      ? { login: { accountId: user } }
      : { error: 'access_denied', error_description: 'no such user' };
    await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  } catch (error) {
    res
      .writeHead(400, { 'content-type': 'text/plain; charset=utf-8' })
      .end(`The sign-in has expired: ${error instanceof Error ? error.name : 'unknown'}\n`);
  }
}

async function signingKey(dataDir: string): Promise<object> {
  const path = join(dataDir, 'issuer-key.json');
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as object;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: randomBytes(8).toString('hex') };
  writePrivate(path, JSON.stringify(jwk));
  return jwk;
}

function secretClient(dataDir: string, clientId: string) {
  const secretFile = join(dataDir, `${clientId}-client-secret`);
  if (!existsSync(secretFile)) writePrivate(secretFile, randomBytes(32).toString('base64url'));
  return { clientId, clientSecret: readFileSync(secretFile, 'utf8').trim(), secretFile };
}

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
