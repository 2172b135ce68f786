// The Workload API client against a real gRPC server made from the public .proto: whole states, refusals, outages,
// rotation.

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Feed } from '../../../src/identity/workload-api/feed.ts';
import { createWorkloadApi, type WorkloadApi } from '../../../src/identity/workload-api/workload-api.ts';
import { type Authority, createAuthority, type Issued } from '../../support/spiffe-authority.ts';
import { startWorkloadApiServer, type WorkloadApiServer } from '../../support/workload-api-server.ts';
import { createClock, createRecorder, type TestClock } from '../calls.ts';
import { createSigningKey } from '../issuer.ts';

const GATEWAY = 'spiffe://prod.test/gateway';
const QUICK = { firstPauseMs: 5, longestPauseMs: 20 };
const jwks = (...kids: string[]) =>
  JSON.stringify({ keys: kids.map((kid) => createSigningKey(kid, 'ES256', 'jwt-svid').jwk) });

let prod: Authority;
let stage: Authority;
let own: Issued;
let server: WorkloadApiServer;
let api: WorkloadApi;
let clock: TestClock;
let recorder: ReturnType<typeof createRecorder>;

beforeAll(async () => {
  prod = await createAuthority('prod.test');
  stage = await createAuthority('stage.test');
  own = await prod.issue({ uris: [GATEWAY], dns: ['localhost'] });
});

beforeEach(async () => {
  clock = createClock();
  server = await startWorkloadApiServer({
    svids: [{ id: GATEWAY, chain: [own] }],
    x509: { 'prod.test': [prod] },
    jwt: { 'prod.test': jwks('a') },
  });
  recorder = createRecorder();
  api = createWorkloadApi(server.address, { clock, log: recorder.log }, QUICK);
});
afterEach(async () => {
  api.close();
  await server.close();
});

/** Resolves with the next state that a feed tells of. */
const next = <T>(feed: Feed<T>): Promise<T | undefined> =>
  new Promise((resolve) => {
    const stop = feed.onChange(() => {
      stop();
      resolve(feed.current());
    });
  });

const domains = (): string[] => [...(api.x509Bundles.current()?.keys() ?? [])];

describe('the Workload API', () => {
  it('gives bundles by trust domain, and takes every message for the whole state', async () => {
    await Promise.all([api.x509Bundles.start(), api.jwtBundles.start()]);
    expect(domains()).toEqual(['prod.test']);
    expect(
      api.jwtBundles
        .current()
        ?.get('prod.test')
        ?.bundle.keys.map(({ kid }) => kid),
    ).toEqual(['a']);

    const before = api.x509Bundles.current()?.get('prod.test');
    const both = next(api.x509Bundles);
    server.publish({ x509: { 'prod.test': [prod], 'stage.test': [stage] } });
    expect([...((await both)?.keys() ?? [])].sort()).toEqual(['prod.test', 'stage.test']);
    // What has not changed is the same generation: connections of that trust domain need not be judged again.
    expect(api.x509Bundles.current()?.get('prod.test')?.bundle).toBe(before?.bundle);

    const without = next(api.x509Bundles);
    server.publish({ x509: { 'stage.test': [stage] } });
    expect([...((await without)?.keys() ?? [])]).toEqual(['stage.test']);
  });

  it('gives the gateway’s own SVID as PEM, and each one that follows', async () => {
    await api.svid.start();
    expect(api.svid.current()).toMatchObject({
      spiffeId: GATEWAY,
      certificate: expect.stringContaining('BEGIN CERTIFICATE'),
      key: expect.stringContaining('PRIVATE KEY'),
    });
    const middle = await prod.intermediate('middle');
    const rotated = next(api.svid);
    server.publish({ svids: [{ id: GATEWAY, chain: [await middle.issue({ uris: [GATEWAY] }), middle] }] });
    expect((await rotated)?.certificate.match(/BEGIN/g)).toHaveLength(2);
  });

  it('gives JWT-SVIDs for an audience', async () => {
    expect(await api.fetchJwtSvid(['https://upstream.test'])).toBe('jwt-for-https://upstream.test');
    server.publish({});
    await expect(api.fetchJwtSvid(['x'])).rejects.toThrow('no_svid');
  });

  it('is reached over tcp, too', async () => {
    const overTcp = createWorkloadApi(server.tcp, { clock, log: createRecorder().log }, QUICK);
    await overTcp.x509Bundles.start();
    expect([...(overTcp.x509Bundles.current()?.keys() ?? [])]).toEqual(['prod.test']);
    overTcp.close();
  });

  it.each(['/run/agent.sock', 'unix:relative', 'tcp://agent.internal:8081', 'https://agent', 'unix:///x?y=1', ''])(
    'is not looked for at %s',
    (address) => {
      expect(() => createWorkloadApi(address, { clock, log: createRecorder().log })).toThrow(TypeError);
    },
  );
});

describe('when the agent refuses', () => {
  it('with PermissionDenied, what was received is no longer used, and the question is asked again', async () => {
    await api.svid.start();
    const refused = next(api.svid);
    server.refuse('PERMISSION_DENIED');
    expect(await refused).toBeUndefined();
    expect(api.svid.lastError).toBe('grpc_permission_denied');
    await server.called('FetchX509SVID', 4);
    server.refuse(undefined);
    await expect.poll(() => api.svid.current()?.spiffeId).toBe(GATEWAY);
    expect(api.svid.lastError).toBeUndefined();
  });

  it.each(['INVALID_ARGUMENT', 'UNIMPLEMENTED'] as const)('with %s, it is not asked again', async (code) => {
    server.refuse(code);
    await Promise.all([api.svid.start(), api.x509Bundles.start()]);
    expect(api.svid.current()).toBeUndefined();
    // Other streams of other clients go on for many pauses; this one stays silent.
    const other = createWorkloadApi(server.address, { clock, log: createRecorder().log }, QUICK);
    server.refuse('UNAVAILABLE');
    await other.jwtBundles.start();
    await server.called('FetchJWTBundles', 6);
    expect([server.calls('FetchX509SVID'), server.calls('FetchX509Bundles')]).toEqual([1, 1]);
    other.close();
  });

  it('with Unavailable, the last state is believed for an hour', async () => {
    await api.x509Bundles.start();
    server.refuse('UNAVAILABLE');
    await server.called('FetchX509Bundles', 3);
    expect(domains()).toEqual(['prod.test']);
    clock.time += 60 * 60_000;
    expect(domains()).toEqual([]);
    server.refuse(undefined);
    await expect.poll(domains).toEqual(['prod.test']);
  });
});

describe('when the agent goes away', () => {
  it('it is tried again within the time that its last word is good for, however often it failed', async () => {
    const brief = createWorkloadApi(server.address, { clock, log: recorder.log }, { firstPauseMs: 5, staleMs: 40 });
    server.refuse('UNAVAILABLE');
    await brief.jwtBundles.start();
    // Pauses that doubled without end would have come to minutes by now.
    await server.called('FetchJWTBundles', 16);
    brief.close();
  });

  it('the stream comes back by itself, with the state of then', async () => {
    await api.x509Bundles.start();
    await server.stop();
    await expect.poll(() => api.x509Bundles.lastError).toBeDefined();
    expect(domains()).toEqual(['prod.test']);
    server.publish({ x509: { 'stage.test': [stage] } });
    await server.start();
    await expect.poll(domains, { timeout: 20_000 }).toEqual(['stage.test']);
  }, 30_000);

  it('starting without it does not wait for ever', async () => {
    await server.stop();
    await api.x509Bundles.start();
    expect(api.x509Bundles.current()).toBeUndefined();
    expect(api.x509Bundles.lastError).toBe('grpc_unavailable');
  });
});

describe('a message that cannot be believed', () => {
  it.each<[string, () => object]>([
    ['no_svid', () => ({ svids: [] })],
    ['not_der', () => ({ svids: [{ spiffeId: GATEWAY, x509Svid: Buffer.from('x'), x509SvidKey: Buffer.from('x') }] })],
    [
      'svid_id',
      () => ({ svids: [{ spiffeId: 'spiffe://prod.test/other', x509Svid: own.der, x509SvidKey: Buffer.from('x') }] }),
    ],
  ])('leaves the last good one in force, and is told as %s', async (reason, message) => {
    await api.svid.start();
    const refused = next(api.svid);
    server.send('FetchX509SVID', message());
    expect((await refused)?.spiffeId).toBe(GATEWAY);
    expect(api.svid.lastError).toBe(reason);
    await server.called('FetchX509SVID', 2);
    expect(api.svid.current()?.spiffeId).toBe(GATEWAY);
  });

  it('refuses an SVID with the key of another', async () => {
    const other = await prod.issue({ uris: [GATEWAY] });
    server.publish({ svids: [{ id: GATEWAY, chain: [{ ...own, keyPem: other.keyPem }] }] });
    await api.svid.start();
    expect(api.svid.current()).toBeUndefined();
    expect(api.svid.lastError).toBe('svid_key');
  });

  it('may name JWT authorities without their use, as SPIRE does, but not with another', async () => {
    const keys = [undefined, 'jwt-svid', 'x509-svid', 'sig'].map((use, index) => {
      const { use: _use, ...jwk } = createSigningKey(`k${index}`).jwk;
      return { ...jwk, ...(use !== undefined && { use }) };
    });
    server.publish({ jwt: { 'prod.test': JSON.stringify({ keys }) } });
    await api.jwtBundles.start();
    expect(
      api.jwtBundles
        .current()
        ?.get('prod.test')
        ?.bundle.keys.map(({ kid }) => kid),
    ).toEqual(['k0', 'k1']);
  });

  it('costs only the trust domain whose bundle is broken, and is told', async () => {
    server.publish({ x509: { 'prod.test': [prod] }, jwt: { 'prod.test': '{"keys":[', 'stage.test': jwks('b') } });
    await api.jwtBundles.start();
    expect([...(api.jwtBundles.current()?.keys() ?? [])]).toEqual(['stage.test']);
    expect(recorder.lines).toContainEqual({
      event: 'identity.bundle.refused',
      fields: { feed: 'jwt_bundles', trustDomain: 'prod.test', reason: 'bad_json' },
    });
  });

  it('may hold as many authorities as a SPIRE with lifetimes of minutes keeps for a day, but not any number', async () => {
    server.publish({
      x509: {
        'prod.test': Array.from({ length: 256 }, () => prod),
        'stage.test': Array.from({ length: 257 }, () => stage),
      },
    });
    await api.x509Bundles.start();
    expect(
      [...(api.x509Bundles.current() ?? [])].map(([trustDomain, { bundle }]) => [trustDomain, bundle.length]),
    ).toEqual([['prod.test', 256]]);
    expect(recorder.lines).toContainEqual(
      expect.objectContaining({
        fields: { feed: 'x509_bundles', trustDomain: 'stage.test', reason: 'too_many_authorities' },
      }),
    );
  });
});
