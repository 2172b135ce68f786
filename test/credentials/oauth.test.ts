import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BrokerProvider, UnwantedGrant } from '../../src/credentials/broker-provider.ts';
import type { Grant, Minted } from '../../src/domain/credential.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Secret } from '../../src/domain/secret.ts';
import { principalNamed } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { type IssuerOptions, startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';

const LEDGER = 'https://ledger.example.org';
const SIGNED = 'https://signed.example.org';
const GATEWAY = 'https://gateway.example.org';
const tokenOf = (minted: Minted) => minted.secrets[0]?.reveal() ?? '';

let issuer: TestIssuer;
const servers: Server[] = [];

async function start(more: Partial<IssuerOptions> = {}): Promise<void> {
  issuer = await startIssuer({
    clients: [
      { id: 'countersign', secret: 'basic/secret literal', scope: 'openid own:read' },
      { id: 'poster', secret: 'post-secret-literal', authentication: 'client_secret_post' },
      { id: 'agent', secret: 'agent-secret-literal', resource: GATEWAY },
    ],
    scopes: ['own:read', 'own:write'],
    resources: {
      [LEDGER]: { scope: 'transfers:read transfers:write' },
      [SIGNED]: { scope: 'transfers:read', format: 'jwt' },
      [GATEWAY]: { scope: 'call', format: 'jwt' },
    },
    ...more,
  });
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const base = () => ({ issuer: issuer.issuer, clientId: 'countersign', clientSecret: secretOf('basic/secret literal') });
const clientCredentials = (more: object = {}) =>
  providerOf({ type: 'oauth-client-credentials', ...base(), resource: LEDGER, ...more });
const exchange = (more: object = {}) => providerOf({ type: 'token-exchange', ...base(), resource: LEDGER, ...more });

beforeEach(() => start());
afterEach(async () => {
  await issuer.close();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

// Issuers ignore what they do not know: what is on record as granted is what the answer or the token says, apart from
// what was asked.
describe('what is on record of a grant', () => {
  const answering = async (claims: object | undefined, scope?: string): Promise<BrokerProvider> => {
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const token = claims === undefined ? 'opaque-token-literal' : `${encode({ alg: 'none' })}.${encode(claims)}.c2ln`;
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          access_token: token,
          token_type: 'Bearer',
          expires_in: 60,
          ...(scope !== undefined && { scope }),
        }),
      );
    });
    return providerOf({
      ...{
        type: 'oauth-client-credentials',
        tokenEndpoint: `${url}/token`,
        clientId: 'c',
        clientSecret: secretOf('s-literal'),
        revoke: false,
      },
      ...{ scope: 'read', audience: 'ledger', tolerateScopes: ['profile', 'email'] },
    });
  };
  const asked = { scope: 'read', audience: ['ledger'] };

  it.each([
    ['an opaque token', undefined, 'read', { scope: 'read', asked, unconfirmed: ['audience'] }],
    ['a token for the audience', { aud: 'ledger' }, 'read', { scope: 'read', audience: ['ledger'], asked }],
    [
      'a token for more than the audience',
      { aud: ['other', 'ledger'] },
      'read',
      { scope: 'read', audience: ['other', 'ledger'], asked },
    ],
    [
      'a token for another audience',
      { aud: 'account' },
      'read',
      { scope: 'read', audience: ['account'], asked, unconfirmed: ['audience'] },
    ],
    [
      'tolerated scopes beside the asked one',
      { aud: 'ledger' },
      'read profile email',
      { scope: 'read profile email', audience: ['ledger'], asked },
    ],
    [
      'a token that says its scope where the answer does not',
      { aud: 'ledger', scp: ['read'] },
      undefined,
      { scope: 'read', audience: ['ledger'], asked },
    ],
  ])('%s', async (_, claims, scope, granted) => {
    expect((await (await answering(claims, scope)).mint(grantOf())).granted).toEqual(granted);
  });

  it.each([
    ['in the answer', { aud: 'ledger' }, 'read profile write openid', 'write, openid'],
    ['in the token alone', { aud: 'ledger', scope: 'read admin' }, 'read', 'admin'],
    ['in the token, as a list', { scp: ['read', 'roles', 'web-origins'] }, undefined, 'roles, web-origins'],
    ['with names that are none', undefined, 'read \u0001\u0002', '1 more'],
  ])('a scope that is neither asked for nor tolerated is refused by its name: %s', async (_, claims, scope, names) => {
    expect(await failureOf((await answering(claims, scope)).mint(grantOf()))).toMatchObject({
      code: 'credential_too_broad',
      detail: `The issuer granted a broader scope than the one asked for: ${names}.`,
    });
  });
});

describe('what an issuer no longer knows', () => {
  it.each(['invalid_token', 'token_expired', 'token_not_found'])(
    'counts as revoked (%s), and the other token is still told of',
    async (error) => {
      const told: string[] = [];
      const url = await serve(async (request, response) => {
        const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
        const isRevocation = form.has('token');
        if (isRevocation) told.push(form.get('token') ?? '');
        response.writeHead(isRevocation && told.length === 1 ? 400 : 200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify(
            isRevocation
              ? { error }
              : { access_token: 'access-literal', refresh_token: 'refresh-literal', token_type: 'Bearer' },
          ),
        );
      });
      const endpoints = { tokenEndpoint: `${url}/token`, revocationEndpoint: `${url}/revoke` };
      const provider = providerOf({
        type: 'oauth-client-credentials',
        ...endpoints,
        clientId: 'c',
        clientSecret: secretOf('s-literal'),
      });
      const { handle } = await provider.mint(grantOf());
      await provider.revoke?.(handle as Secret);
      expect(told.sort()).toEqual(['access-literal', 'refresh-literal']);
    },
  );
});

describe('client credentials', () => {
  it('asks for the narrowed scope and resource, and reports what was granted', async () => {
    const minted = await clientCredentials({ scope: 'transfers:read transfers:write' }).mint(
      grantOf({ scope: ['transfers:read'] }),
    );
    expect(issuer.tokenRequests.at(-1)).toMatchObject({
      grant_type: 'client_credentials',
      scope: 'transfers:read',
      resource: LEDGER,
    });
    expect(minted).toMatchObject({
      revocability: 'token',
      granted: {
        scope: 'transfers:read',
        asked: { scope: 'transfers:read', resource: [LEDGER] },
        unconfirmed: ['resource'],
      },
    });
    expect(minted.injection.value.reveal()).toBe(`Bearer ${tokenOf(minted)}`);
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      scope: 'transfers:read',
      aud: LEDGER,
      client_id: 'countersign',
    });
  });

  it('counts the lifetime from before the request', async () => {
    const now = Date.now() - 1_000;
    expect((await clientCredentials().mint(grantOf({}, { now }))).expiresAt).toBe(now + 300_000);
  });

  it('asks nobody when the rule wants more than is configured', async () => {
    const provider = clientCredentials({ scope: 'transfers:read' });
    expect(await failureOf(provider.mint(grantOf({ scope: ['transfers:read', 'transfers:write'] })))).toMatchObject({
      code: 'credential_unavailable',
    });
    expect(await failureOf(provider.mint(grantOf({ resource: SIGNED })))).toMatchObject({
      code: 'credential_unavailable',
    });
    expect(issuer.requests('/token')).toBe(0);
  });

  it('authenticates by client_secret_post too', async () => {
    const provider = clientCredentials({
      clientId: 'poster',
      clientSecret: secretOf('post-secret-literal'),
      clientAuth: 'post',
    });
    expect(await issuer.isActive(tokenOf(await provider.mint(grantOf())))).toBe(true);
  });

  it('reads its own secret at each request', async () => {
    let text = 'not-yet';
    const provider = clientCredentials({ clientSecret: { origin: 'test', read: () => new Secret(text) } });
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('invalid_client'),
    });
    text = 'basic/secret literal';
    expect(await issuer.isActive(tokenOf(await provider.mint(grantOf())))).toBe(true);
  });

  it('names the issuer’s error code', async () => {
    const provider = clientCredentials({ resource: undefined, scope: 'own:read own:write' });
    expect(await failureOf(provider.mint(grantOf({ scope: 'own:write' })))).toMatchObject({
      code: 'credential_unavailable',
      detail: expect.stringContaining('invalid_scope'),
    });
  });

  it('discovers the issuer once for all who ask, and again after a failure', async () => {
    const provider = clientCredentials();
    await issuer.stop();
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    await issuer.resume();
    await Promise.all([1, 2, 3].map(() => provider.mint(grantOf())));
    expect(issuer.requests('/.well-known/openid-configuration')).toBe(1);
  });

  it('needs no discovery when the endpoints are given', async () => {
    const { issuer: url, ...client } = base();
    const provider = providerOf({
      type: 'oauth-client-credentials',
      ...client,
      resource: LEDGER,
      tokenEndpoint: `${url}/token`,
      revocationEndpoint: `${url}/token/revocation`,
    });
    const minted = await provider.mint(grantOf());
    await provider.revoke?.(minted.handle as Secret);
    expect(await issuer.isActive(tokenOf(minted))).toBe(false);
    expect(issuer.requests('/.well-known/openid-configuration')).toBe(0);
  });

  it('promises no revocation where the issuer offers none', async () => {
    await issuer.close();
    await start({ revocation: false });
    const minted = await clientCredentials().mint(grantOf());
    expect([minted.revocability, minted.handle]).toEqual(['none', undefined]);
  });

  it('promises no revocation where the configuration leaves tokens to expire', async () => {
    const minted = await clientCredentials({ revoke: false }).mint(grantOf());
    expect([minted.revocability, minted.handle]).toEqual(['none', undefined]);
  });

  it('learns that signed tokens cannot be revoked at this issuer, and promises it no more', async () => {
    const provider = clientCredentials({ resource: SIGNED });
    const first = await provider.mint(grantOf());
    expect(first.revocability).toBe('token');
    expect(await failureOf(provider.revoke?.(first.handle as Secret) as Promise<void>)).toMatchObject({
      detail: expect.stringContaining('unsupported_token_type'),
    });
    expect((await provider.mint(grantOf())).revocability).toBe('none');
  });

  it('takes an answer without a lifetime for one of unknown expiry', async () => {
    await issuer.close();
    await start({ alter: ({ expires_in: _, ...answer }) => answer });
    const provider = clientCredentials();
    expect((await provider.mint(grantOf())).expiresAt).toBeUndefined();
    expect(provider.reuseMs).toBe(300_000);
  });

  it.each([
    ['a broader scope', { scope: 'transfers:read transfers:write' }, 'credential_too_broad'],
    ['a DPoP token', { token_type: 'DPoP' }, 'credential_unavailable'],
    ['an unknown type of token', { token_type: 'mac' }, 'credential_unavailable'],
    ['a lifetime that is no number', { expires_in: 'soon' }, 'credential_unavailable'],
  ])('refuses %s and names what is to be taken back', async (_, changes, code) => {
    await issuer.close();
    let made = '';
    await start({
      alter: (answer) => {
        made = String(answer.access_token);
        return { ...answer, ...changes };
      },
    });
    const thrown = await failureOf(clientCredentials({ scope: 'transfers:read' }).mint(grantOf()));
    expect(thrown).toBeInstanceOf(UnwantedGrant);
    expect(thrown).toMatchObject({ code });
    expect((thrown as UnwantedGrant).unwanted.handle?.reveal()).toBe(made);
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain(made);
  });

  it('refuses a token that could end a header line', async () => {
    await issuer.close();
    await start({ alter: (answer) => ({ ...answer, access_token: 'a\r\nx: y' }) });
    expect(await failureOf(clientCredentials().mint(grantOf()))).toMatchObject({ code: 'credential_unavailable' });
  });

  it('takes a refresh token back too', async () => {
    await issuer.close();
    const spare = { token: '' };
    await start({ alter: (answer) => ({ ...answer, refresh_token: spare.token }) });
    spare.token = await issuer.token('countersign', { resource: LEDGER });
    const provider = clientCredentials();
    const minted = await provider.mint(grantOf());
    expect(minted.secrets.map((one) => one.reveal())).toContain(spare.token);
    await provider.revoke?.(minted.handle as Secret);
    expect([await issuer.isActive(tokenOf(minted)), await issuer.isActive(spare.token)]).toEqual([false, false]);
  });
});

describe('an issuer that misbehaves', () => {
  const at = (url: string, more: object = {}) =>
    providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('client-secret-literal'),
      tokenEndpoint: `${url}/token`,
      revoke: false,
      ...more,
    });

  it('is not waited for longer than configured', async () => {
    const url = await serve(() => {});
    expect(await failureOf(at(url, { timeout: '100ms' }).mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('in time'),
    });
  });

  it('is not waited for when its answer never ends', async () => {
    const url = await serve(
      (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":"'),
    );
    expect(await failureOf(at(url, { timeout: '200ms' }).mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('in time'),
    });
  });

  it.each(['refresh_token', 'scope', 'expires_in', 'id_token'])(
    'and writes null for what it does not give is understood: %s',
    async (name) => {
      const url = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ access_token: 'a-token-literal', token_type: 'Bearer', [name]: null }));
      });
      expect(tokenOf(await at(url).mint(grantOf()))).toBe('a-token-literal');
    },
  );

  it('cannot redirect the request with its client secret', async () => {
    let reached = 0;
    const elsewhere = await serve((_, response) => {
      reached += 1;
      response.end();
    });
    const url = await serve((_, response) => void response.writeHead(307, { location: `${elsewhere}/token` }).end());
    expect(await failureOf(at(url).mint(grantOf()))).toMatchObject({ code: 'credential_unavailable' });
    expect(reached).toBe(0);
  });

  it('cannot fill the memory', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ access_token: 'x'.repeat(1024 * 1024), token_type: 'Bearer' }));
    });
    expect(await failureOf(at(url).mint(grantOf()))).toMatchObject({ detail: expect.stringContaining('too large') });
  });

  it('cannot lead a secret to plain HTTP elsewhere', async () => {
    const url: string = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ issuer: url, token_endpoint: 'http://issuer.example.org/token' }));
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    expect(await failureOf(provider.mint(grantOf()))).toMatchObject({
      detail: expect.stringContaining('neither https nor on loopback'),
    });
  });

  it.each([
    [200, 'application/json', '{"access_token": "leaked-literal"'],
    [200, 'text/html', '<p>leaked-literal</p>'],
    [200, 'application/json', '{"access_token": ["leaked-literal"], "token_type": "Bearer"}'],
    [400, 'application/json', '{"error": "leaked-literal", "error_description": "leaked-literal"}'],
    [500, 'application/json', '{"error": "leaked literal\\r\\nleaked-literal"}'],
    [401, 'text/plain', 'leaked-literal'],
  ])('is not quoted in an error: %i %s %s', async (status, type, body) => {
    const url = await serve((_, response) => void response.writeHead(status, { 'content-type': type }).end(body));
    const thrown = await failureOf(at(url).mint(grantOf()));
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toMatch(/leaked.literal|client-secret-literal/);
  });

  it('is refused at once when it is plain HTTP beyond loopback', () => {
    for (const options of [
      { issuer: 'http://idp.example.org' },
      { tokenEndpoint: 'http://127.0.0.1.example.org/token', revoke: false },
    ]) {
      const make = () =>
        providerOf({ type: 'oauth-client-credentials', clientId: 'c', clientSecret: secretOf('s'), ...options });
      expect(make).toThrow('Plain http is accepted on loopback only');
    }
  });

  it('is discovered again when it has moved its endpoints, or could not say where they are', async () => {
    let [fault, endpoint] = [true, '/before'];
    const url: string = await serve((request, response) => {
      const answers: Record<string, object> = {
        '/.well-known/openid-configuration': fault
          ? { error: 'server_error' }
          : { issuer: url, token_endpoint: url + endpoint },
        [endpoint]: { access_token: `made-at-${endpoint.slice(1)}`, token_type: 'bearer' },
      };
      const answer = answers[request.url ?? ''];
      response.writeHead(answer === undefined ? 404 : 'error' in answer ? 503 : 200, {
        'content-type': 'application/json',
      });
      response.end(JSON.stringify(answer ?? {}));
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    await failureOf(provider.mint(grantOf()));
    fault = false;
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-at-before');
    endpoint = '/after';
    await failureOf(provider.mint(grantOf()));
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-at-after');
  });

  it('may publish its metadata as an authorization server only (RFC 8414)', async () => {
    const url: string = await serve((request, response) => {
      if (request.url?.startsWith('/.well-known/openid')) return void response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(
          request.url === '/token'
            ? { access_token: 'made-here', token_type: 'bearer', expires_in: 60 }
            : { issuer: url, token_endpoint: `${url}/token`, response_types_supported: [] },
        ),
      );
    });
    const provider = providerOf({
      type: 'oauth-client-credentials',
      clientId: 'c',
      clientSecret: secretOf('s'),
      issuer: url,
    });
    expect(tokenOf(await provider.mint(grantOf()))).toBe('made-here');
  });
});

describe('token exchange', () => {
  const withToken = async (scope: JsonObject = {}) =>
    grantOf(scope, { subjectToken: new Secret(await issuer.token('agent')) });

  it('exchanges the agent’s token for one that is good at the upstream, and takes it back', async () => {
    const provider = exchange({ scope: 'transfers:read transfers:write' });
    const minted = await provider.mint(await withToken({ scope: 'transfers:write' }));
    expect(await issuer.introspect(tokenOf(minted))).toMatchObject({
      active: true,
      sub: 'agent',
      aud: LEDGER,
      scope: 'transfers:write',
    });
    await provider.revoke?.(minted.handle as Secret);
    expect(await issuer.isActive(tokenOf(minted))).toBe(false);
  });

  it('presents an OIDC caller’s token as an access token and a JWT-SVID as a JWT', async () => {
    const asked = await withToken();
    await exchange().mint(asked);
    expect(issuer.tokenRequests.at(-1)).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    await exchange().mint({ ...asked, principal: principalNamed('agent', { kind: 'spiffe' }) });
    expect(issuer.tokenRequests.at(-1)).toMatchObject({ subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
  });

  it('sends the gateway’s own token as the actor where it is told to', async () => {
    const actor = await issuer.sign({ sub: 'gateway' });
    await exchange({ actorToken: secretOf(actor) }).mint(await withToken());
    expect(issuer.tokenRequests.at(-1)).toMatchObject({
      actor_token: actor,
      actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
  });

  it('asks nobody for a caller without a token', async () => {
    expect(await failureOf(exchange().mint(grantOf()))).toMatchObject({ code: 'credential_unavailable' });
    expect(issuer.requests('/token')).toBe(0);
  });

  it('says that the issuer refused the agent’s token, without the token', async () => {
    const thrown = await failureOf(exchange().mint(grantOf({}, { subjectToken: new Secret('forged-token-literal') })));
    expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: expect.stringContaining('invalid_grant') });
    expect(inspect(thrown, { depth: 20, showHidden: true })).not.toContain('forged-token-literal');
  });

  it.each([
    { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    { issued_token_type: undefined },
    { token_type: 'N_A' },
  ])('refuses an answer with %j and names what is to be taken back', async (changes) => {
    await issuer.close();
    await start({ alter: (answer) => (answer.issued_token_type === undefined ? answer : { ...answer, ...changes }) });
    const thrown = await failureOf(exchange().mint(await withToken()));
    expect(thrown).toMatchObject({ code: 'credential_unavailable' });
    expect(await issuer.isActive((thrown as UnwantedGrant).unwanted.handle?.reveal() ?? '')).toBe(true);
  });

  it('shares between calls of one token only', async () => {
    const provider = exchange();
    const [one, two] = [await withToken(), await withToken()];
    const keyOf = ({ subjectToken }: Grant) =>
      provider.shareKey?.(grantOf({}, subjectToken === undefined ? {} : { subjectToken }));
    expect(keyOf(one)).not.toBe(keyOf(two));
    expect(keyOf(one)).toBe(keyOf({ ...one, subjectToken: new Secret(one.subjectToken?.reveal() ?? '') }));
    expect(keyOf(one)).not.toContain(one.subjectToken?.reveal());
  });
});
