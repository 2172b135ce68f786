// Tokens about which the issuer itself is asked: opaque ones (RFC 7662) at a real oidc-provider, and a cluster's
// (TokenReview) at an API server that answers as Kubernetes' does. A real cluster is not to be had here.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import { Secret, type SecretSource } from '../../src/domain/secret.ts';
import { postJson } from '../../src/identity/keys/issuer-http.ts';
import { identityOf } from '../support/identities.ts';
import { type TestIssuer as Provider, startIssuer as startProvider } from '../support/oidc-issuer.ts';
import { bearer, createClock, createRecorder, refusalOf, type TestClock } from './calls.ts';
import { createSigningKey, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const RESOURCE = 'https://gateway.test/';
const secretOf = (text: string): SecretSource => ({ origin: 'test', read: () => new Secret(text) });

interface Asked {
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** An endpoint that answers as told and remembers what it was asked. */
async function startEndpoint() {
  const asked: Asked[] = [];
  const endpoint = {
    url: '',
    asked,
    status: 200,
    answer: {} as unknown,
    held: false,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  const server: Server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({ url: request.url, authorization: request.headers.authorization, body });
    if (!endpoint.held)
      response.writeHead(endpoint.status, { 'content-type': 'application/json' }).end(JSON.stringify(endpoint.answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return endpoint;
}

let clock: TestClock;
let identity: Identity;
afterEach(() => identity.close());

describe('opaque tokens (RFC 7662)', () => {
  let provider: Provider;
  let endpoint: Awaited<ReturnType<typeof startEndpoint>>;

  beforeAll(async () => {
    provider = await startProvider({
      clients: [
        { id: 'agent', secret: 'agent-secret', resource: RESOURCE },
        { id: 'gateway', secret: 'gateway:secret%' },
      ],
      resources: { [RESOURCE]: { scope: 'call' } },
    });
  });
  afterAll(() => provider.close());
  beforeEach(async () => {
    clock = createClock();
    endpoint = await startEndpoint();
  });
  afterEach(() => endpoint.close());

  async function start(introspection: object = {}): Promise<void> {
    const options = {
      endpoint: endpoint.url,
      clientId: 'gateway',
      clientSecret: secretOf('gateway:secret%'),
      ...introspection,
    };
    identity = identityOf(
      {
        audience: [RESOURCE],
        issuers: [{ name: 'corp', type: 'oidc', issuer: provider.issuer, introspection: options }],
      },
      { clock, ...createRecorder() },
    );
    await identity.start();
  }

  const seconds = () => Math.floor(clock.now() / 1000);
  const active = (changes: object = {}) => ({
    active: true,
    iss: provider.issuer,
    sub: 'agent',
    aud: RESOURCE,
    iat: seconds(),
    exp: seconds() + 300,
    ...changes,
  });
  const refused = (token = 'opaque-token') => refusalOf(() => identity.identify(bearer(token)));

  it('are taken from a real issuer, and its JWTs beside them', async () => {
    await start({ endpoint: `${provider.issuer}/token/introspection` });
    const token = await provider.token('agent', { resource: RESOURCE, scope: 'call' });
    expect(token).not.toMatch(/\./);
    const answer = await provider.introspect(token);
    // This issuer names no subject for a client's own token, and a caller without a name is none.
    expect(answer).toMatchObject({ active: true, client_id: 'agent', aud: RESOURCE });
    expect(await refused(token)).toBe('token_claims/sub');
    expect(await refused('no-such-token')).toBe('token_inactive/introspection');
    const jwt = await provider.sign({ sub: 'agent', aud: RESOURCE });
    expect(await identity.identify(bearer(jwt))).toMatchObject({ principal: { id: `${provider.issuer}#agent` } });
  });

  it('make a principal like a JWT does, on whose behalf included', async () => {
    await start();
    endpoint.answer = active({ sub: 'alice', act: { sub: 'agent' } });
    expect(await identity.identify(bearer('opaque-token'))).toMatchObject({
      principal: { id: `${provider.issuer}#agent`, issuerName: 'corp', onBehalfOf: [{ subject: 'alice' }] },
    });
    expect(endpoint.asked).toEqual([
      {
        url: '/',
        authorization: `Basic ${Buffer.from('gateway:gateway%3Asecret%25').toString('base64')}`,
        body: 'token=opaque-token&token_type_hint=access_token',
      },
    ]);
  });

  it('are asked about again after ten seconds, so that a revoked one stops working', async () => {
    await start();
    endpoint.answer = active();
    await identity.identify(bearer('opaque-token'));
    endpoint.answer = { active: false };
    clock.time += 9_000;
    expect(await identity.identify(bearer('opaque-token'))).toBeDefined();
    clock.time += 1_000;
    expect(await refused()).toBe('token_inactive/introspection');
  });

  // Kind: a token that can be read here and was taken back there.
  it('are asked about beside JWTs with `tokens: all`: a revoked JWT stops working within ten seconds', async () => {
    await start({ tokens: 'all' });
    const jwt = await provider.sign({ sub: 'agent', aud: RESOURCE });
    endpoint.answer = active();
    expect(await identity.identify(bearer(jwt))).toMatchObject({ principal: { id: `${provider.issuer}#agent` } });
    await identity.identify(bearer(jwt));
    expect(endpoint.asked).toHaveLength(1);
    endpoint.answer = { active: false };
    clock.time += 10_000;
    expect(await refused(jwt)).toBe('token_inactive/introspection');
  });

  it.each<[string, object | undefined, string]>([
    ['is not active', { active: false }, 'token_inactive/introspection'],
    ['is somebody else’s', { active: true, sub: 'other' }, 'token_inactive/introspection'],
    ['is another issuer’s', { active: true, iss: 'https://elsewhere.test' }, 'token_untrusted/iss'],
    ['is active in other words', { active: 1, sub: 'agent' }, 'token_inactive/introspection'],
    ['cannot be asked about', undefined, 'issuer_unavailable/introspection'],
  ])('with `tokens: all` refuse a JWT of which the issuer says that it %s', async (_what, answer, expected) => {
    await start({ tokens: 'all' });
    endpoint.answer = answer;
    if (answer === undefined) endpoint.status = 500;
    expect(await refused(await provider.sign({ sub: 'agent', aud: RESOURCE }))).toBe(expected);
  });

  it('with `tokens: all` are not asked about when the JWT itself does not hold, nor without it', async () => {
    await start({ tokens: 'all' });
    endpoint.answer = active();
    expect(await refused(await provider.sign({ sub: 'agent', aud: 'https://elsewhere.test' }))).toBe(
      'token_audience/aud',
    );
    expect(await refused(await provider.sign({ sub: 'agent', aud: RESOURCE }, { kid: 'other' }))).toBe(
      'token_key_unknown/kid',
    );
    identity.close();
    await start();
    expect(await identity.identify(bearer(await provider.sign({ sub: 'agent', aud: RESOURCE })))).toBeDefined();
    expect(endpoint.asked).toHaveLength(0);
  });

  it.each<[string, object, string]>([
    ['inactive', { active: false }, 'token_inactive/introspection'],
    ['active in other words', { active: 'true' }, 'token_inactive/introspection'],
    ['of another issuer', { iss: 'https://elsewhere.test' }, 'token_untrusted/iss'],
    ['for another audience', { aud: 'https://elsewhere.test' }, 'token_audience/aud'],
    ['without audience', { aud: undefined }, 'token_claims/aud'],
    ['without end', { exp: undefined }, 'token_claims/exp'],
    ['that has ended', { exp: 1 }, 'token_expired/exp'],
    ['that lives for days', { exp: 9_999_999_999 }, 'token_lifetime/lifetime'],
    ['that is bound to a key, shown without it', { cnf: { jkt: 'A'.repeat(43) } }, 'proof_required/dpop_unavailable'],
  ])('are refused when the issuer calls them %s', async (_what, changes, expected) => {
    await start();
    endpoint.answer = active(changes);
    expect(await refused()).toBe(expected);
  });

  it('are refused while the issuer cannot be asked, and when it answers oddly', async () => {
    await start();
    for (const [status, answer] of [
      [500, {}],
      [302, {}],
      [200, 'x'.repeat(300_000)],
    ] as const) {
      Object.assign(endpoint, { status, answer });
      expect(await refused()).toBe('issuer_unavailable/introspection');
    }
    Object.assign(endpoint, { status: 200, answer: [] });
    expect(await refused()).toBe('token_inactive/introspection');
    await start({ endpoint: 'http://127.0.0.1:1/' });
    expect(await refused()).toBe('issuer_unavailable/introspection');
  });

  it('are shown to nobody in the clear, and to no address with a password in it', async () => {
    const question = { headers: {}, body: 'token=opaque-token', timeoutMs: 1000 };
    for (const address of [
      'http://idp.example.org/introspect',
      `http://user:secret@${new URL(endpoint.url).host}/`,
      'file:///etc/passwd',
    ]) {
      await expect(postJson(address, question)).rejects.toThrow('address');
    }
    expect(endpoint.asked).toHaveLength(0);
  });

  it('reach the issuer sixteen at a time, however many arrive', async () => {
    await start();
    endpoint.held = true;
    const verdicts = Array.from({ length: 40 }, (_, i) => refused(`flood-${i}`));
    expect(await Promise.race(verdicts)).toBe('issuer_unavailable/introspection');
    await expect.poll(() => endpoint.asked.length).toBe(16);
    await endpoint.close();
    expect(new Set(await Promise.all(verdicts))).toEqual(new Set(['issuer_unavailable/introspection']));
    expect(endpoint.asked).toHaveLength(16);
    endpoint = await startEndpoint();
  });

  it('are refused by a gateway that asks nobody', async () => {
    identity = identityOf(
      { audience: [RESOURCE], issuers: [{ name: 'corp', type: 'oidc', issuer: provider.issuer }] },
      { clock, ...createRecorder() },
    );
    expect(await refused()).toBe('token_malformed/compact');
  });

  it('may be taken for one issuer only', () => {
    const introspection = { endpoint: endpoint.url, clientId: 'x', clientSecret: secretOf('x') };
    const issuers = ['a', 'b'].map((name) => ({
      name,
      type: 'oidc' as const,
      issuer: `https://${name}.test`,
      introspection,
    }));
    expect(() => identityOf({ audience: ['x'], issuers }, { clock, ...createRecorder() })).toThrow(
      'Keep `introspection` on one issuer only',
    );
  });
});

describe('service-account tokens that their cluster confirms (TokenReview)', () => {
  const key = createSigningKey('k1', 'RS256');
  const SUBJECT = 'system:serviceaccount:agents:runner';
  let cluster: TestIssuer;
  let api: Awaited<ReturnType<typeof startEndpoint>>;

  beforeAll(async () => {
    cluster = await startIssuer([key]);
  });
  afterAll(() => cluster.close());
  beforeEach(async () => {
    clock = createClock();
    api = await startEndpoint();
    api.status = 201;
    api.answer = review({});
    identity = identityOf(
      {
        audience: [RESOURCE],
        issuers: [
          {
            name: 'cluster',
            type: 'oidc',
            issuer: cluster.url,
            tokenReview: { apiServer: api.url, token: secretOf('gateway-token') },
          },
        ],
      },
      { clock, ...createRecorder() },
    );
    await identity.start();
  });
  afterEach(() => api.close());

  const review = (status: object) => ({
    kind: 'TokenReview',
    status: { authenticated: true, audiences: [RESOURCE], user: { username: SUBJECT }, ...status },
  });
  const token = (): string => {
    const now = Math.floor(clock.now() / 1000);
    const pod = {
      namespace: 'agents',
      serviceaccount: { name: 'runner', uid: 'u1' },
      pod: { name: 'runner-1', uid: 'p1' },
    };
    return signToken(
      { alg: 'RS256', kid: 'k1' },
      { iss: cluster.url, sub: SUBJECT, aud: [RESOURCE], iat: now, exp: now + 600, 'kubernetes.io': pod },
      key,
    );
  };

  it('name their service account, pod and account ids kept', async () => {
    const raw = token();
    expect(await identity.identify(bearer(raw))).toMatchObject({
      principal: {
        id: `${cluster.url}#${SUBJECT}`,
        claims: { 'kubernetes.io': { pod: { uid: 'p1' }, serviceaccount: { uid: 'u1' } } },
      },
    });
    expect(api.asked).toHaveLength(1);
    expect(api.asked[0]).toMatchObject({
      url: '/apis/authentication.k8s.io/v1/tokenreviews',
      authorization: 'Bearer gateway-token',
    });
    expect(JSON.parse(api.asked[0]?.body ?? '')).toMatchObject({
      kind: 'TokenReview',
      spec: { token: raw, audiences: [RESOURCE] },
    });
  });

  it('stop working within seconds of their pod’s end', async () => {
    const raw = token();
    await identity.identify(bearer(raw));
    api.answer = review({ authenticated: false });
    clock.time += 10_000;
    expect(await refusalOf(() => identity.identify(bearer(raw)))).toBe('token_inactive/token_review');
  });

  it.each<[string, object]>([
    ['not authenticated', { authenticated: false }],
    ['authenticated in other words', { authenticated: 'true' }],
    ['for no audience, as an API server answers that knows none', { audiences: undefined }],
    ['for another audience', { audiences: ['https://kubernetes.default.svc'] }],
    ['of another account', { user: { username: 'system:serviceaccount:agents:other' } }],
    ['of nobody', { user: undefined }],
  ])('are refused when the cluster calls them %s', async (_what, status) => {
    api.answer = review(status);
    expect(await refusalOf(() => identity.identify(bearer(token())))).toBe('token_inactive/token_review');
  });

  it('are refused while the cluster does not answer, and never shown to it before their signature holds', async () => {
    api.status = 403;
    expect(await refusalOf(() => identity.identify(bearer(token())))).toBe('issuer_unavailable/token_review');
    const forged = signToken(
      { alg: 'RS256', kid: 'k1' },
      { iss: cluster.url, sub: SUBJECT },
      createSigningKey('k1', 'RS256'),
    );
    expect(await refusalOf(() => identity.identify(bearer(forged)))).toBe('token_signature/signature');
    expect(api.asked).toHaveLength(1);
  });
});
