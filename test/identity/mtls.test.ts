// X.509-SVIDs over real TLS connections: the listener's own options, the strict parse, the identity. What a connection
// proved is judged anew at each call.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { receiveRequest } from '../../src/actions/receive.ts';
import type { Identity } from '../../src/domain/identity.ts';
import { asGatewayError } from '../../src/errors.ts';
import { createBoundedServer, type Listening, listen } from '../../src/listeners/listen.ts';
import { feedOf } from '../support/certificates.ts';
import { identityOf } from '../support/identities.ts';
import { type Authority, bundleDocument, createAuthority, type Issued } from '../support/spiffe-authority.ts';
import { createClock, createRecorder, type Recorder, type TestClock } from './calls.ts';
import { createSigningKey, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const AUDIENCE = 'https://gateway.test';
const AGENT = 'spiffe://prod.test/agent';
const CORP = 'https://idp.test';
const key = createSigningKey('jwt', 'ES256', 'jwt-svid');
const corpKey = createSigningKey('corp');

let root: Authority;
let server: Issued;
let workload: Issued;
let folder: string;
let bundleFile: string;
let corp: TestIssuer;
let identity: Identity;
let listening: Listening;
let clock: TestClock;
let recorder: Recorder;

beforeAll(async () => {
  root = await createAuthority('prod.test');
  server = await root.issue({ uris: ['spiffe://prod.test/gateway'], dns: ['localhost'] });
  workload = await root.issue();
  corp = await startIssuer([corpKey]);
});

afterAll(() => corp.close());

async function start(clientCertificates: 'accept' | 'require' = 'accept', requireProof = false): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'countersign-mtls-'));
  bundleFile = join(folder, 'bundle.json');
  writeFileSync(bundleFile, bundleDocument([root], {}, [key.jwk]));
  clock = createClock();
  recorder = createRecorder();
  identity = identityOf(
    {
      audience: [AUDIENCE],
      issuers: [
        { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { file: bundleFile }, requireProof },
        { name: 'corp', type: 'oidc', issuer: CORP, jwksUri: `${corp.url}/jwks` },
      ],
    },
    { clock, ...recorder },
  );
  await identity.start();
  const tls = { feed: feedOf(server.pem, server.keyPem), clientCertificates };
  const options = { address: { host: '127.0.0.1', port: 0 }, tls };
  const http = createBoundedServer(options);
  http.on('request', async (incoming, response) => {
    const parsed = receiveRequest(incoming, response, { id: randomUUID(), receivedAt: clock.now(), hosts: 'any' });
    try {
      const found = identity.identify(parsed);
      const { principal } = await found;
      response.end(
        JSON.stringify({
          id: principal.id,
          proof: principal.proof,
          key: principal.keyThumbprint,
          spiffeId: principal.spiffeId,
          cached: !(found instanceof Promise),
        }),
      );
    } catch (thrown) {
      const error = asGatewayError(thrown);
      response
        .writeHead(error.status)
        .end(JSON.stringify({ refused: `${error.code}/${String(error.details.members?.check)}` }));
    }
  });
  listening = await listen(http, options);
}

beforeEach(() => start());
afterEach(async () => {
  identity.close();
  await listening.close(0);
  rmSync(folder, { recursive: true, force: true });
});

interface Client {
  readonly certificate?: readonly Issued[];
  readonly token?: string;
  readonly agent?: Agent;
  readonly maxVersion?: 'TLSv1.2';
}

async function call({
  certificate = [],
  token,
  agent = new Agent(),
  maxVersion,
}: Client): Promise<Record<string, unknown>> {
  const [leaf] = certificate;
  const request = httpsRequest({
    ...{ host: '127.0.0.1', port: listening.port, path: '/tools/x', servername: 'localhost', ca: root.pem, agent },
    ...(leaf && { cert: certificate.map(({ pem }) => pem).join(''), key: leaf.keyPem }),
    ...(maxVersion && { maxVersion }),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  }).end();
  const [response] = await once(request, 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return JSON.parse(body);
}

function svidToken(sub: string, claims: object = {}): string {
  const now = Math.floor(clock.now() / 1000);
  return signToken({ alg: 'ES256', kid: 'jwt' }, { sub, aud: AUDIENCE, iat: now, exp: now + 300, ...claims }, key);
}

const thumbprint = async ({ der }: Issued) =>
  Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(der))).toString('base64url');

describe('an agent with an X.509-SVID', () => {
  it('is who its certificate says, and is looked up without a promise on the next call of its connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await call({ certificate: [workload], agent })).toEqual({ id: AGENT, proof: 'x509-svid', cached: false });
    expect(await call({ certificate: [workload], agent })).toEqual({ id: AGENT, proof: 'x509-svid', cached: true });
    agent.destroy();
  });

  it('may come over intermediates', async () => {
    const first = await root.intermediate('first');
    const second = await first.intermediate('second');
    expect(await call({ certificate: [await second.issue(), second, first] })).toMatchObject({ id: AGENT });
  });

  it('is refused with the name of the check when its certificate is not good', async () => {
    const stranger = await createAuthority('stage.test');
    expect(await call({ certificate: [await stranger.issue({ uris: ['spiffe://stage.test/a'] })] })).toEqual({
      refused: 'certificate_untrusted/trust_domain',
    });
    expect(await call({ certificate: [await stranger.issue()] })).toEqual({
      refused: 'certificate_untrusted/authority_unknown',
    });
    expect(await call({ certificate: [await root.issue({ uris: [AGENT, `${AGENT}/b`] })] })).toEqual({
      refused: 'certificate_profile/uri_count',
    });
    expect(await call({})).toEqual({ refused: 'unauthenticated/credential' });
    expect(recorder.refusals.map(({ code }) => code)).toEqual([
      'certificate_untrusted',
      'certificate_untrusted',
      'certificate_profile',
      'unauthenticated',
    ]);
  });

  it('is told to come again while the authorities of its trust domain cannot be had', async () => {
    clock.time += 3_600_000;
    rmSync(bundleFile);
    expect(await call({ certificate: [await root.issue({ notAfter: clock.now() + 60_000 })] })).toEqual({
      refused: 'issuer_unavailable/authorities',
    });
  });

  it('is not looked at again at once after it was refused, and is a second later', async () => {
    const brief = await root.issue({ notBefore: clock.now() + 10_000 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const beginning = Math.floor((clock.now() + 10_000) / 1000) * 1000;
    clock.time = beginning - 500;
    expect(await call({ certificate: [brief], agent })).toEqual({ refused: 'certificate_not_yet_valid/not_yet_valid' });
    clock.time = beginning + 100;
    expect(await call({ certificate: [brief], agent })).toEqual({ refused: 'certificate_not_yet_valid/not_yet_valid' });
    clock.time = beginning + 600;
    expect(await call({ certificate: [brief], agent })).toMatchObject({ id: AGENT });
    agent.destroy();
  });

  it('is refused from the moment its certificate ends, on the connection that it has open', async () => {
    const brief = await root.issue({ notAfter: clock.now() + 60_000 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await call({ certificate: [brief], agent })).toMatchObject({ id: AGENT });
    clock.time += 60_000;
    expect(await call({ certificate: [brief], agent })).toEqual({ refused: 'certificate_expired/expired' });
    agent.destroy();
  });

  it('is judged again when the authorities change: refused when its own is gone, taken when it stays', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await call({ certificate: [workload], agent });
    const next = await createAuthority('prod.test', { subject: 'CN=next' });
    const put = async (text: string): Promise<void> => {
      const changed = recorder.lines.filter(({ event }) => event === 'identity.keys.changed').length;
      writeFileSync(bundleFile, text);
      await expect
        .poll(() => recorder.lines.filter(({ event }) => event === 'identity.keys.changed').length)
        .toBeGreaterThan(changed);
    };
    await put(bundleDocument([next, root]));
    expect(await call({ certificate: [workload], agent })).toMatchObject({ id: AGENT, cached: false });
    await put(bundleDocument([next]));
    expect(await call({ certificate: [workload], agent })).toEqual({
      refused: 'certificate_untrusted/authority_unknown',
    });
    agent.destroy();
  });

  it('cannot resume a connection, which would come without its certificate', async () => {
    const dial = async (
      session?: Buffer,
    ): Promise<{ readonly reused: boolean; readonly session: Buffer | undefined; readonly answer: string }> => {
      const options = {
        host: '127.0.0.1',
        port: listening.port,
        servername: 'localhost',
        ca: root.pem,
        cert: workload.pem,
        key: workload.keyPem,
      };
      const socket: TLSSocket = connect({ ...options, ...(session && { session }) });
      let latest: Buffer | undefined;
      let answer = '';
      socket.on('session', (given) => (latest = given));
      socket.on('data', (chunk) => (answer += chunk));
      socket.write('GET /tools/x HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n');
      await once(socket, 'secureConnect');
      const reused = socket.isSessionReused();
      await once(socket, 'close');
      return { reused, session: latest, answer };
    };
    const first = await dial();
    const second = await dial(first.session);
    expect(first.answer).toContain(AGENT);
    expect(second).toMatchObject({ reused: false, answer: expect.stringContaining(AGENT) });
  });

  it('must speak TLS 1.3', async () => {
    await expect(call({ certificate: [workload], maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
  });
});

describe('a listener that requires certificates', () => {
  it('cuts connections without one', async () => {
    identity.close();
    await listening.close(0);
    await start('require');
    await expect(call({ token: svidToken(AGENT) })).rejects.toThrow();
    expect(await call({ certificate: [workload] })).toMatchObject({ id: AGENT });
  });
});

describe('a token beside a certificate', () => {
  it('must name the same workload', async () => {
    expect(await call({ certificate: [workload], token: svidToken(AGENT) })).toMatchObject({
      id: AGENT,
      proof: 'jwt-svid',
    });
    expect(await call({ certificate: [workload], token: svidToken('spiffe://prod.test/other') })).toEqual({
      refused: 'identity_conflict/certificate',
    });
  });

  it('does not save a bad certificate', async () => {
    const bad = await root.issue({ ca: true, uris: [AGENT] });
    expect(await call({ certificate: [bad], token: svidToken(AGENT) })).toEqual({
      refused: 'certificate_profile/leaf_authority',
    });
  });

  it('that is bound to a certificate is worth nothing without it (RFC 8705)', async () => {
    const token = svidToken(AGENT, { cnf: { 'x5t#S256': await thumbprint(workload) } });
    expect(await call({ certificate: [workload], token })).toMatchObject({
      id: AGENT,
      key: await thumbprint(workload),
    });
    expect(await call({ token })).toEqual({ refused: 'proof_required/certificate' });
    expect(await call({ certificate: [await root.issue()], token })).toEqual({ refused: 'proof_invalid/x5t#S256' });
  });

  // Kind: a second identity that was proven and is then forgotten.
  describe('of an OIDC issuer that is bound to it', () => {
    const oidcToken = async (certificate: Issued) => {
      const now = Math.floor(clock.now() / 1000);
      const claims = {
        iss: CORP,
        sub: 'agent-7',
        aud: AUDIENCE,
        iat: now,
        exp: now + 300,
        cnf: { 'x5t#S256': await thumbprint(certificate) },
      };
      return signToken({ alg: 'ES256', kid: 'corp' }, claims, corpKey);
    };
    const both = { id: `${CORP}#agent-7`, spiffeId: AGENT };

    it('makes one principal with both identities, on every call of the connection', async () => {
      const token = await oidcToken(workload);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let i = 0; i < 3; i++) expect(await call({ certificate: [workload], token, agent })).toMatchObject(both);
      agent.destroy();
    });

    it('is refused when the SVID does not hold, although the binding does', async () => {
      const brief = await root.issue({ notAfter: clock.now() + 60_000 });
      const token = await oidcToken(brief);
      clock.time += 61_000;
      expect(await call({ certificate: [brief], token })).toEqual({ refused: 'certificate_expired/expired' });
      const forged = await (await createAuthority('prod.test', { subject: 'CN=forged' })).issue();
      expect(await call({ certificate: [forged], token: await oidcToken(forged) })).toEqual({
        refused: 'certificate_untrusted/authority_unknown',
      });
    });

    it('needs no SVID: another certificate, or one of a trust domain that is not trusted here, adds nothing', async () => {
      const plain = await root.issue({ uris: [], dns: ['agent.internal'] });
      const strange = await (await createAuthority('stage.test')).issue({ uris: ['spiffe://stage.test/a'] });
      for (const certificate of [plain, strange]) {
        const answer = await call({ certificate: [certificate], token: await oidcToken(certificate) });
        expect(answer).toMatchObject({ id: both.id });
        expect(answer).not.toHaveProperty('spiffeId');
      }
    });

    it('is refused beside a JWT-SVID of another workload', async () => {
      const other = svidToken('spiffe://prod.test/other', { cnf: { 'x5t#S256': await thumbprint(workload) } });
      expect(await call({ certificate: [workload], token: other })).toEqual({
        refused: 'identity_conflict/certificate',
      });
    });
  });

  it('makes up for a binding that the issuer entry demands', async () => {
    identity.close();
    await listening.close(0);
    await start('accept', true);
    expect(await call({ token: svidToken(AGENT) })).toEqual({ refused: 'proof_required/binding' });
    expect(await call({ certificate: [workload], token: svidToken(AGENT) })).toMatchObject({ id: AGENT });
  });
});
