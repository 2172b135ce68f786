// Federation: bundle endpoints that prove themselves by SPIFFE ID, over real TLS, and what a bundle itself may ask for.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import { fetchJsonFromSvid } from '../../src/identity/bundles/fetch-json-spiffe.ts';
import { identityOf } from '../support/identities.ts';
import { type Authority, bundleDocument, createAuthority, type Issued } from '../support/spiffe-authority.ts';
import { bearer, createClock, createRecorder, refusalOf, type TestClock } from './calls.ts';
import { createSigningKey, signToken } from './issuer.ts';

const ENDPOINT_ID = 'spiffe://prod.test/bundle-server';
const key = createSigningKey('jwt', 'ES256', 'jwt-svid');

let root: Authority;
let folder: string;
let bootstrap: string;
let server: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: number;
let clock: TestClock;
let open: Identity[] = [];

beforeEach(async () => {
  root = await createAuthority('prod.test');
  folder = mkdtempSync(join(tmpdir(), 'countersign-fed-'));
  bootstrap = join(folder, 'bootstrap.json');
  writeFileSync(bootstrap, bundleDocument([root]));
  clock = createClock();
  asked = 0;
  serve(bundleDocument([root], { spiffe_sequence: 1 }, [key.jwk]));
  const own = await root.issue({ uris: [ENDPOINT_ID] });
  server = createServer(tlsOf(own), (request, response) => {
    asked += 1;
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`;
});
afterEach(async () => {
  for (const identity of open) identity.close();
  open = [];
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

const tlsOf = ({ pem, keyPem }: Issued) => ({ cert: pem, key: keyPem });

function serve(document: string, status = 200, type = 'application/json'): void {
  answer = (_request, response) => response.writeHead(status, { 'content-type': type }).end(document);
}

async function start(bundle: object = {}): Promise<Identity> {
  const source = { endpoint: url, profile: 'https_spiffe', spiffeId: ENDPOINT_ID, bootstrap, ...bundle };
  const identity = identityOf(
    {
      audience: ['gateway'],
      issuers: [{ name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: source }],
      refresh: { minIntervalMs: 1000 },
    },
    { clock, ...createRecorder() },
  );
  open.push(identity);
  await identity.start();
  return identity;
}

function call(identity: Identity, kid = 'jwt') {
  const now = Math.floor(clock.now() / 1000);
  return identity.identify(
    bearer(
      signToken({ alg: 'ES256', kid }, { sub: 'spiffe://prod.test/a', aud: 'gateway', iat: now, exp: now + 300 }, key),
    ),
  );
}

const errorOf = (identity: Identity) => identity.status()[0]?.lastError;

describe('a bundle endpoint with profile https_spiffe', () => {
  it('is believed as the configured SPIFFE ID', async () => {
    const identity = await start();
    expect(identity.status()).toMatchObject([{ ready: true, keys: 1, authorities: 1 }]);
    expect(await call(identity)).toMatchObject({ principal: { id: 'spiffe://prod.test/a' } });
  });

  it('is not asked anything when it is somebody else, or vouched for by somebody else', async () => {
    expect(errorOf(await start({ spiffeId: 'spiffe://prod.test/other' }))).toBe('endpoint_id');
    writeFileSync(bootstrap, bundleDocument([await createAuthority('prod.test')]));
    expect(errorOf(await start())).toBe('endpoint_signature');
    writeFileSync(bootstrap, bundleDocument([await createAuthority('stage.test')]));
    expect(errorOf(await start())).toBe('endpoint_authority_unknown');
    writeFileSync(bootstrap, 'nonsense');
    const identity = await start();
    expect(errorOf(identity)).toBe('endpoint_authorities');
    expect(asked).toBe(0);
    expect(await refusalOf(() => call(identity))).toBe('issuer_unavailable/keys');
  });

  it('is never asked in the clear', async () => {
    const clear = url.replace('https:', 'http:');
    await expect(start({ endpoint: clear })).rejects.toThrow('a bundle endpoint is reached by https only.');
    const server = {
      spiffeId: ENDPOINT_ID,
      authorities: [],
      clock,
      signal: AbortSignal.timeout(1_000),
      timeoutMs: 1_000,
    };
    await expect(fetchJsonFromSvid(clear, server)).rejects.toMatchObject({ reason: 'address' });
    expect(asked).toBe(0);
  });

  it('is validated by the latest bundle once there is one, and no longer by the first', async () => {
    const next = await createAuthority('prod.test', { subject: 'CN=next' });
    serve(bundleDocument([next], { spiffe_sequence: 2 }, [key.jwk]));
    const identity = await start();
    expect(errorOf(identity)).toBeUndefined();
    clock.time += 31_000;
    await refusalOf(() => call(identity, 'unknown'));
    expect(errorOf(identity)).toBe('endpoint_authority_unknown');
    server.setSecureContext(tlsOf(await next.issue({ uris: [ENDPOINT_ID] })));
    clock.time += 31_000;
    await refusalOf(() => call(identity, 'unknown'));
    expect(errorOf(identity)).toBeUndefined();
  });

  it.each(['application/octet-stream', 'binary/octet-stream', 'text/plain', ''])(
    'is read as strictly when its server gives the type %j',
    async (type) => {
      const own = await createAuthority('prod.test', { subject: 'CN=own' });
      serve(bundleDocument([own], {}, [key.jwk]), 200, type);
      expect(errorOf(await start())).toBeUndefined();
      serve('{"keys":[],"keys":[]}', 200, type);
      expect(errorOf(await start())).toBe('bad_json');
    },
  );

  it.each<[string, () => void, string]>([
    ['an error', () => serve('{}', 500), 'status_500'],
    ['a redirect', () => serve('{}', 302), 'status_302'],
    ['another content type', () => serve('{"keys":[]}', 200, 'text/html'), 'content_type'],
    ['something huge', () => serve(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`), 'too_large'],
    ['something that is no bundle', () => serve('[]'), 'not_a_jwks'],
    ['a bundle that is no JSON', () => serve('{"keys":['), 'bad_json'],
    ['a sequence that is no number', () => serve('{"keys":[],"spiffe_sequence":"2"}'), 'bad_sequence'],
    ['a hint that is no number', () => serve('{"keys":[],"spiffe_refresh_hint":-1}'), 'bad_refresh_hint'],
  ])('changes nothing when it answers with %s', async (_what, prepare, reason) => {
    prepare();
    const identity = await start();
    expect(errorOf(identity)).toBe(reason);
    expect(identity.status()).toMatchObject([{ ready: false }]);
  });

  it('cannot go back to an earlier bundle', async () => {
    serve(bundleDocument([root], { spiffe_sequence: 7 }, [key.jwk]));
    const identity = await start();
    serve(bundleDocument([root], { spiffe_sequence: 6 }, []));
    clock.time += 31_000;
    await refusalOf(() => call(identity, 'unknown'));
    expect(errorOf(identity)).toBe('sequence_rollback');
    expect(await call(identity)).toMatchObject({ principal: { id: 'spiffe://prod.test/a' } });
  });

  it('may fail for an hour: calls go on with the last bundle, then are refused', async () => {
    const identity = await start();
    serve('{}', 503);
    clock.time += 59 * 60_000;
    expect(await call(identity)).toMatchObject({ principal: { id: 'spiffe://prod.test/a' } });
    clock.time += 60_000;
    expect(await refusalOf(() => call(identity))).toBe('issuer_unavailable/keys');
  });
});

describe('a bundle endpoint with profile https_web', () => {
  it('is not believed with a certificate that the Web PKI does not know', async () => {
    const identity = await start({ profile: 'https_web', spiffeId: undefined, bootstrap: undefined });
    expect(errorOf(identity)).toMatch(/CERT|SIGNATURE|SELF_SIGNED/);
    expect(asked).toBe(0);
  });

  it('is asked again when the bundle wishes', async () => {
    const document = bundleDocument([root], { spiffe_refresh_hint: 1 }, [key.jwk]);
    const identity = identityOf(
      {
        audience: ['gateway'],
        issuers: [
          { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { endpoint: url, profile: 'https_web' } },
        ],
        refresh: { minIntervalMs: 10 },
      },
      {
        clock,
        ...createRecorder(),
        async fetch() {
          asked += 1;
          return new Response(document, { headers: { 'content-type': 'application/json' } });
        },
      },
    );
    open.push(identity);
    await identity.start();
    await expect.poll(() => asked, { timeout: 5000 }).toBeGreaterThan(1);
  });
});
