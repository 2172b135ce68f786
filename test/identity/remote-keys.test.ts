// How often an issuer is asked, and what is believed while it misbehaves. Requests are counted at a real HTTP server.

import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import type { GatewayError } from '../../src/errors.ts';
import { identityOf } from '../support/identities.ts';
import { bearer, createClock, createRecorder, refusalOf } from './calls.ts';
import { createSigningKey, json, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const AUDIENCE = 'https://gateway.example.org';
const first = createSigningKey('first');
const second = createSigningKey('second');
const clock = createClock();
const recorder = createRecorder();

let issuer: TestIssuer;
const open: Identity[] = [];

beforeEach(async () => {
  clock.time = Date.now();
  issuer = await startIssuer([first]);
});
afterEach(async () => {
  for (const identity of open.splice(0)) identity.close();
  await issuer.close();
});

async function start(refresh: object = {}): Promise<Identity> {
  const identity = identityOf(
    { audience: [AUDIENCE], issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url }], refresh },
    { clock, log: recorder.log, metrics: recorder.metrics },
  );
  open.push(identity);
  await identity.start();
  return identity;
}

let serial = 0;
function call(identity: Identity, key = first, kid = key.kid) {
  const now = Math.floor(clock.time / 1000);
  serial += 1;
  return identity.identify(
    bearer(
      signToken({ alg: 'ES256', kid }, { iss: issuer.url, sub: `a${serial}`, aud: AUDIENCE, exp: now + 300 }, key),
    ),
  );
}
const refused = (identity: Identity, key = first, kid = key.kid) => refusalOf(() => call(identity, key, kid));
const jwksRequests = () => issuer.requests.filter((path) => path === '/jwks').length;

describe('how often an issuer is asked', () => {
  it('asks for discovery and keys once, however many tokens come', async () => {
    const identity = await start();
    await Promise.all(Array.from({ length: 50 }, () => call(identity)));
    expect(issuer.requests).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });

  it('asks again once in 30 seconds under a flood of unknown key ids', async () => {
    const identity = await start();
    clock.time += 6_000;
    const flood = await Promise.all(Array.from({ length: 100 }, (_, i) => refused(identity, second, `unknown-${i}`)));
    expect(new Set(flood)).toEqual(new Set(['token_key_unknown/kid']));
    expect(jwksRequests()).toBe(2);
    clock.time += 29_000;
    await refused(identity, second);
    expect(jwksRequests()).toBe(2);
    clock.time += 1_000;
    await refused(identity, second);
    expect(jwksRequests()).toBe(3);
  });

  it('takes up a rotated key at its first token, and forgets the old one', async () => {
    const identity = await start();
    await call(identity);
    issuer.keys = [second];
    clock.time += 6_000;
    expect((await call(identity, second)).principal.issuerName).toBe('corp');
    expect(await refused(identity)).toBe('token_key_unknown/kid');
    expect(jwksRequests()).toBe(2);
  });

  it('keeps the minimum interval after a success', async () => {
    const identity = await start();
    issuer.keys = [second];
    expect(await refused(identity, second)).toBe('token_key_unknown/kid');
    expect(jwksRequests()).toBe(1);
  });

  it('keeps the minimum interval after a failure, whatever the number of tokens, and says 503', async () => {
    issuer.answers.jwks = json({}, 500);
    const identity = await start();
    const flood = await Promise.all(Array.from({ length: 50 }, () => refused(identity)));
    expect(new Set(flood)).toEqual(new Set(['issuer_unavailable/keys']));
    expect(jwksRequests()).toBe(1);
    clock.time += 5_000;
    await Promise.all(Array.from({ length: 50 }, () => refused(identity)));
    expect(jwksRequests()).toBe(2);
    expect(identity.status()).toEqual([{ name: 'corp', type: 'oidc', ready: false, keys: 0, lastError: 'status_500' }]);
  });

  it('does not ask at all because of tokens of unknown issuers or refused algorithms', async () => {
    const identity = await start();
    clock.time += 60_000;
    const before = issuer.requests.length;
    await refusalOf(() =>
      identity.identify(bearer(signToken({ alg: 'ES256', kid: 'x' }, { iss: 'https://evil.example.org' }, first))),
    );
    await refusalOf(() => identity.identify(bearer(signToken({ alg: 'HS256', kid: 'x' }, { iss: issuer.url }, first))));
    expect(issuer.requests).toHaveLength(before);
  });

  it('refreshes by itself while nobody calls', async () => {
    const identity = await start({ refreshMs: 5 });
    await issuer.jwksRequests(3);
    expect(identity.status()[0]?.ready).toBe(true);
  });

  it('refreshes twice in the time that keys are believed, however short that is', async () => {
    await start({ staleMs: 40 });
    await issuer.jwksRequests(4);
  });

  it('comes back by itself when the issuer does', async () => {
    issuer.answers.jwks = json({}, 500);
    const identity = await start({ minIntervalMs: 5 });
    expect(identity.status()[0]?.ready).toBe(false);
    issuer.answers.jwks = undefined;
    await issuer.jwksRequests(jwksRequests() + 1);
    await expect.poll(() => identity.status()[0], { timeout: 20_000 }).toMatchObject({ ready: true, keys: 1 });
    expect(identity.status()[0]).not.toHaveProperty('lastError');
  });
});

// Kind: a document whose server knows nothing about its type. It is read as strictly as any other.
describe('keys of a server that does not know what it serves', () => {
  it.each([
    'application/octet-stream',
    'binary/octet-stream',
    'Application/Octet-Stream; x=y',
    'text/plain; charset=utf-8',
    '',
  ])('are taken with the type %j', async (type) => {
    issuer.answers.jwks = json({ keys: [first.jwk] }, 200, type);
    expect(await call(await start())).toBeDefined();
  });

  it('are taken without any type', async () => {
    issuer.answers.jwks = (_request, response) => response.end(JSON.stringify({ keys: [first.jwk] }));
    expect(await call(await start())).toBeDefined();
  });
});

// Kind: "there is no such key" said of keys that nobody has looked at lately enough to know.
describe('an issuer that changes its keys again and again', () => {
  const third = createSigningKey('third');
  const fourth = createSigningKey('fourth');

  it('is asked once more when the last answer brought news, and until then says for how long', async () => {
    const identity = await start();
    clock.time += 6_000;
    issuer.keys = [second];
    expect(await call(identity, second)).toBeDefined();
    clock.time += 2_000;
    issuer.keys = [second, third];
    const refusal = await Promise.resolve(call(identity, third)).catch((thrown: GatewayError) => thrown);
    expect(refusal).toMatchObject({
      code: 'issuer_unavailable',
      details: { retryAfter: 3, members: { check: 'keys_changing' } },
    });
    clock.time += 3_000;
    expect(await call(identity, third)).toBeDefined();
    clock.time += 5_000;
    issuer.keys = [fourth];
    expect(await call(identity, fourth)).toBeDefined();
    expect(jwksRequests()).toBe(4);
  });

  it('is left alone again as soon as an answer brings nothing new', async () => {
    const identity = await start();
    clock.time += 6_000;
    issuer.keys = [second];
    await call(identity, second);
    clock.time += 5_000;
    for (let i = 0; i < 20; i++) expect(await refused(identity, third, `made-up-${i}`)).toBe('token_key_unknown/kid');
    clock.time += 5_000;
    for (let i = 0; i < 20; i++) expect(await refused(identity, third, `made-up-${i}`)).toBe('token_key_unknown/kid');
    expect(jwksRequests()).toBe(3);
  });

  it('has withdrawn a key for good, however lately', async () => {
    const identity = await start();
    clock.time += 6_000;
    issuer.keys = [second];
    await call(identity, second);
    expect(await refused(identity, first)).toBe('token_key_unknown/kid');
    expect(await refused(identity, third)).toBe('issuer_unavailable/keys_changing');
  });
});

describe('what is believed while an issuer misbehaves', () => {
  it('keeps the keys for an hour while refreshes fail, then trusts nothing', async () => {
    const identity = await start();
    issuer.answers.jwks = json({}, 503);
    clock.time += 59 * 60_000;
    expect(await refused(identity, second)).toBe('token_key_unknown/kid');
    expect(await call(identity)).toBeDefined();
    clock.time += 60_000;
    expect(await refused(identity)).toBe('issuer_unavailable/keys');
    expect(identity.status()[0]).toMatchObject({ ready: false, keys: 0 });
  });

  it('trusts nothing when the issuer publishes no keys', async () => {
    const identity = await start();
    issuer.keys = [];
    clock.time += 6_000;
    expect(await refused(identity, second)).toBe('token_key_unknown/kid');
    expect(await refused(identity)).toBe('token_key_unknown/kid');
  });

  it.each<[string, (i: TestIssuer) => void, string]>([
    [
      'metadata of another issuer',
      (i) => (i.answers.discovery = json({ issuer: 'https://evil.example.org', jwks_uri: `${i.url}/jwks` })),
      'issuer_mismatch',
    ],
    [
      'metadata of the issuer with a slash more',
      (i) => (i.answers.discovery = json({ issuer: `${i.url}/`, jwks_uri: `${i.url}/jwks` })),
      'issuer_mismatch',
    ],
    ['metadata without jwks_uri', (i) => (i.answers.discovery = json({ issuer: i.url })), 'no_jwks_uri'],
    [
      'a jwks_uri in plain http off this host',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'http://idp.example.org/jwks' })),
      'address',
    ],
    // Kind: an issuer that points to what runs beside the gateway.
    [
      'a jwks_uri of another service of this machine',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'http://127.0.0.1:1/jwks' })),
      'address',
    ],
    [
      'a jwks_uri at localhost',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://localhost/jwks' })),
      'address',
    ],
    [
      'a jwks_uri at a name below localhost',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://a.localhost./jwks' })),
      'address',
    ],
    [
      'a jwks_uri at 127.1',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://127.1/jwks' })),
      'address',
    ],
    [
      'a jwks_uri at [::1]',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://[::1]/jwks' })),
      'address',
    ],
    [
      'a jwks_uri at a mapped loopback',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://[::ffff:127.0.0.9]/jwks' })),
      'address',
    ],
    [
      'a jwks_uri at no address',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'https://0/jwks' })),
      'address',
    ],
    [
      'a jwks_uri that is a file',
      (i) => (i.answers.discovery = json({ issuer: i.url, jwks_uri: 'file:///etc/passwd' })),
      'address',
    ],
    [
      'a redirect',
      (i) => (i.answers.jwks = (_q, r) => r.writeHead(302, { location: `${i.url}/elsewhere` }).end()),
      'status_302',
    ],
    ['another content type', (i) => (i.answers.jwks = json({ keys: [first.jwk] }, 200, 'text/html')), 'content_type'],
    ['a type of image', (i) => (i.answers.jwks = json({ keys: [first.jwk] }, 200, 'image/svg+xml')), 'content_type'],
    [
      'a duplicate member without a content type',
      (i) => (i.answers.jwks = (_q, r) => r.end('{"keys":[],"keys":[]}')),
      'bad_json',
    ],
    ['a page of an object store', (i) => (i.answers.jwks = json('<Error/>', 200, 'binary/octet-stream')), 'bad_json'],
    [
      'a body of 257 KiB',
      (i) => (i.answers.jwks = json(JSON.stringify({ keys: [first.jwk], x: 'x'.repeat(257 * 1024) }))),
      'too_large',
    ],
    [
      'a small body that unpacks to megabytes',
      (i) =>
        (i.answers.jwks = (_q, r) =>
          r
            .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
            .end(gzipSync(JSON.stringify({ x: 'x'.repeat(4e6), keys: [] })))),
      'too_large',
    ],
    ['a body that is no JSON', (i) => (i.answers.jwks = json('<html>')), 'bad_json'],
    [
      'a duplicate member',
      (i) => (i.answers.jwks = json(`{"keys":[],"keys":[${JSON.stringify(first.jwk)}]}`)),
      'bad_json',
    ],
    ['no list of keys', (i) => (i.answers.jwks = json({ keys: {} })), 'not_a_jwks'],
    ['257 keys', (i) => (i.answers.jwks = json({ keys: Array.from({ length: 257 }, () => ({})) })), 'too_many_keys'],
    ['a connection that breaks', (i) => (i.answers.jwks = (_q, r) => r.destroy()), 'UND_ERR_SOCKET'],
  ])('refuses %s', async (_what, misbehave, reason) => {
    misbehave(issuer);
    const identity = await start();
    expect(identity.status()[0]).toMatchObject({ ready: false, lastError: reason });
    expect(await refused(identity)).toBe('issuer_unavailable/keys');
    expect(issuer.requests).not.toContain('/elsewhere');
  });

  it.each<[string, (i: TestIssuer) => void]>([
    ['never answers', (i) => (i.answers.jwks = () => {})],
    [
      'never ends its answer',
      (i) => (i.answers.jwks = (_q, r) => r.writeHead(200, { 'content-type': 'application/json' }).write('{')),
    ],
  ])('gives up on a server that %s', async (_what, misbehave) => {
    misbehave(issuer);
    const identity = await start({ timeoutMs: 50 });
    expect(identity.status()[0]).toMatchObject({ ready: false, lastError: 'timeout' });
  });

  it('follows an issuer that moves its keys', async () => {
    const identity = await start();
    issuer.answers.discovery = json({ issuer: issuer.url, jwks_uri: `${issuer.url}/moved` });
    issuer.answers.jwks = (request, response) =>
      json({ keys: request.url === '/moved' ? [second.jwk] : [first.jwk] })(request, response);
    clock.time += 6_000;
    expect(await call(identity, second)).toBeDefined();
  });

  it('follows an issuer whose identifier has a path and a final slash', async () => {
    issuer.answers.discovery = undefined;
    issuer.answers.jwks = (request, response) => {
      const tenant = request.url === '/tenant/.well-known/openid-configuration';
      json(tenant ? { issuer: `${issuer.url}/tenant/`, jwks_uri: `${issuer.url}/jwks` } : { keys: [first.jwk] })(
        request,
        response,
      );
    };
    const identity = identityOf(
      { audience: [AUDIENCE], issuers: [{ name: 'corp', type: 'oidc', issuer: `${issuer.url}/tenant/` }] },
      { clock, log: recorder.log, metrics: recorder.metrics },
    );
    open.push(identity);
    await identity.start();
    expect(issuer.requests).toEqual(['/tenant/.well-known/openid-configuration', '/jwks']);
    expect(identity.status()[0]?.ready).toBe(true);
  });

  it('keeps one issuer working while another is down', async () => {
    const other = await startIssuer([second]);
    await issuer.close();
    const identity = identityOf(
      {
        audience: [AUDIENCE],
        issuers: [
          { name: 'down', type: 'oidc', issuer: issuer.url },
          { name: 'up', type: 'oidc', issuer: other.url },
        ],
      },
      { clock, log: recorder.log, metrics: recorder.metrics },
    );
    open.push(identity);
    await identity.start();
    expect(identity.status().map(({ name, ready, lastError }) => [name, ready, lastError])).toEqual([
      ['down', false, 'ECONNREFUSED'],
      ['up', true, undefined],
    ]);
    await other.close();
    issuer = await startIssuer([first]);
  });
});
