// The whole gateway with SPIFFE on both sides of its agents' listener: it shows the X.509-SVID that the Workload API
// gives it, agents show theirs, and everything rotates while calls go on.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type Authority, createAuthority, type Issued } from '../support/spiffe-authority.ts';
import { startWorkloadApiServer, type WorkloadApiServer } from '../support/workload-api-server.ts';

const AGENT = 'spiffe://prod.test/agent';
const GATEWAY = 'spiffe://prod.test/gateway';

const it = gatewayTest
  .extend('root', file, () => createAuthority('prod.test'))
  .extend('workload', file, ({ root }) => root.issue({ uris: [AGENT] }))
  .extend('workloadApi', file, ({ closes }) => closes(startWorkloadApiServer()))
  .extend('env', file, async ({ root, workloadApi, environment }) => {
    await publish(workloadApi, [root], root);
    return environment({
      listeners: { agents: { tls: { workloadApi: workloadApi.address, clientCertificates: 'accept' } } },
      identity: {
        issuers: [
          { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { workloadApi: workloadApi.address } },
        ],
      },
    });
  });

async function publish(
  workloadApi: WorkloadApiServer,
  authorities: readonly Authority[],
  issuer: Authority,
): Promise<void> {
  const own = await issuer.issue({ uris: [GATEWAY], dns: ['gateway.test'] });
  workloadApi.publish({ svids: [{ id: GATEWAY, chain: [own] }], x509: { 'prod.test': authorities } });
}

interface CallOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly as?: Issued;
  readonly agent?: Agent;
  readonly trust?: readonly Issued[];
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, string | string[] | undefined>;
}

async function call(
  root: Authority,
  env: Environment,
  path: string,
  { method = 'GET', body, as, agent = new Agent(), trust = [root], headers = {} }: CallOptions = {},
): Promise<Answer> {
  const json = body === undefined ? undefined : JSON.stringify(body);
  const request = httpsRequest({
    ...{
      host: '127.0.0.1',
      port: env.ports.agents,
      path,
      method,
      agent,
      servername: 'gateway.test',
      ca: trust.map(({ pem }) => pem),
    },
    ...(as && { cert: as.pem, key: as.keyPem }),
    headers: {
      ...(json !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(json)),
      }),
      ...headers,
    },
  }).end(json);
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: JSON.parse(text), headers: response.headers };
}

describe('an agent with an X.509-SVID', () => {
  it('calls an upstream, and one without any credential does not', async ({ root, workload, env }) => {
    expect(await call(root, env, '/api/things', { as: workload })).toMatchObject({ status: 200, body: { ok: true } });
    expect(await call(root, env, '/api/things')).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated', check: 'credential' },
    });
    const stranger = await createAuthority('prod.test');
    expect(await call(root, env, '/api/things', { as: await stranger.issue({ uris: [AGENT] }) })).toMatchObject({
      status: 401,
      body: { code: 'certificate_untrusted' },
    });
    const token = await env.token('agent-1');
    expect(
      await call(root, env, '/api/things', { as: workload, headers: { authorization: `Bearer ${token}` } }),
    ).toMatchObject({
      status: 401,
      body: { code: 'identity_conflict' },
    });
  });

  it('has a held call approved and sent, also when its certificate was rotated while it waited', async ({
    root,
    workload,
    env,
  }) => {
    const answer = call(root, env, '/api/transfers', {
      method: 'POST',
      body: { amount: 1 },
      as: workload,
      headers: { prefer: 'wait=0' },
    });
    expect(await answer).toMatchObject({ status: 409, body: { code: 'approval_pending' } });
    const reviewer = await env.reviewer('rita');
    const [hold] = await reviewer.list();
    expect(hold?.principal).toMatchObject({ id: AGENT, kind: 'spiffe' });
    await reviewer.approve(hold?.id ?? '');
    const renewed = await root.issue({ uris: [AGENT] });
    expect(await call(root, env, '/api/transfers', { method: 'POST', body: { amount: 1 }, as: renewed })).toMatchObject(
      {
        status: 200,
      },
    );
    expect(env.upstream.requests.at(-1)).toMatchObject({ method: 'POST', body: '{"amount":1}' });
  });

  it('loses no call while the gateway’s certificate and the authorities rotate', async ({
    root,
    workload,
    workloadApi,
    env,
  }) => {
    let trusted: Authority[] = [root];
    let certificate: Issued = workload;
    let done = false;
    const statuses: number[] = [];
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const load = async (agent?: Agent): Promise<void> => {
      while (!done)
        statuses.push(
          (await call(root, env, '/api/things', { as: certificate, trust: trusted, ...(agent && { agent }) })).status,
        );
    };
    const running = [load(kept), load(), load()];
    for (let round = 0; round < 5; round++) {
      const next = await createAuthority('prod.test', { subject: `CN=round ${round}` });
      // As SPIRE does it: the new authority is published, then used by everybody, then the old one goes.
      trusted = [...trusted, next];
      const previous = trusted.at(-2) as Authority;
      await publish(workloadApi, trusted.slice(-2), previous);
      await expect
        .poll(
          async () =>
            (await call(root, env, '/api/things', { as: await next.issue({ uris: [AGENT] }), trust: trusted })).status,
          { timeout: 10_000 },
        )
        .toBe(200);
      certificate = await next.issue({ uris: [AGENT] });
      await publish(workloadApi, trusted.slice(-2), next);
      const seen = statuses.length;
      await expect.poll(() => statuses.length, { timeout: 10_000 }).toBeGreaterThan(seen + 6);
    }
    done = true;
    await Promise.all(running);
    kept.destroy();
    expect(statuses.length).toBeGreaterThan(30);
    // Calls of the probe above may be refused until the authority is there; calls of the load never.
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  }, 90_000);

  it('meets a gateway that refuses connections, and says that it is not ready, once its own certificate has ended and no other has come', async ({
    root,
    workload,
    workloadApi,
    env,
  }) => {
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`);
      return { status: response.status, body: await response.json() };
    };
    const expiresAt = Math.ceil(Date.now() / 1000) * 1000 + 2_000;
    const brief = await root.issue({ uris: [GATEWAY], dns: ['gateway.test'], notAfter: expiresAt });
    workloadApi.publish({ svids: [{ id: GATEWAY, chain: [brief] }], x509: { 'prod.test': [root] } });
    await expect.poll(ready, { timeout: 10_000 }).toMatchObject({
      status: 200,
      body: { certificate: true, svids: [{ from: workloadApi.address, ready: true, spiffeId: GATEWAY, expiresAt }] },
    });
    await expect
      .poll(ready, { timeout: 10_000 })
      .toMatchObject({ status: 503, body: { ready: false, certificate: false, svids: [{ ready: false }] } });
    await expect(call(root, env, '/api/things', { as: workload })).rejects.toThrow();
    await publish(workloadApi, [root], root);
    await expect.poll(async () => (await ready()).status, { timeout: 10_000 }).toBe(200);
    expect(await call(root, env, '/api/things', { as: workload })).toMatchObject({ status: 200 });
  });

  it('has nothing sent on its behalf when its trust domain went away while its call waited, however many approve', async ({
    root,
    workload,
    workloadApi,
    env,
  }) => {
    const sent = env.upstream.requests.length;
    const reviewer = await env.reviewer('rita');
    const answer = call(root, env, '/api/transfers', { method: 'POST', body: { amount: 2 }, as: workload });
    await expect.poll(async () => (await reviewer.list()).length, { timeout: 10_000 }).toBe(1);
    const [hold] = await reviewer.list();
    const own = await root.issue({ uris: [GATEWAY], dns: ['gateway.test'] });
    workloadApi.publish({ svids: [{ id: GATEWAY, chain: [own] }], x509: {} });
    await expect
      .poll(async () => (await call(root, env, '/api/things', { as: workload })).body.code, { timeout: 10_000 })
      .toBe('certificate_untrusted');
    await reviewer.approve(hold?.id ?? '');
    expect(await answer).toMatchObject({ status: 401, body: { code: 'certificate_untrusted' } });
    expect(env.upstream.requests.length).toBe(sent);
    await publish(workloadApi, [root], root);
    await expect
      .poll(async () => (await call(root, env, '/api/things', { as: workload })).status, { timeout: 10_000 })
      .toBe(200);
  });

  it('is refused once the agent takes the trust domain away', async ({ root, workload, workloadApi, env }) => {
    workloadApi.publish({
      svids: [{ id: GATEWAY, chain: [await root.issue({ uris: [GATEWAY], dns: ['gateway.test'] })] }],
      x509: {},
    });
    await expect
      .poll(async () => (await call(root, env, '/api/things', { as: workload })).body.code, { timeout: 10_000 })
      .toBe('certificate_untrusted');
  });
});

describe('a gateway', () => {
  it('does not start as nobody: without an SVID for its listener it ends and says why', async ({ env }) => {
    const path = env.variant('nobody', ({ listeners, identity }) => {
      const nowhere = `unix://${join(env.folder, 'nothing.sock')}`;
      listeners.agents.tls = { workloadApi: nowhere, clientCertificates: 'accept' };
      Object.assign(identity.issuers[1] ?? {}, { bundle: { workloadApi: nowhere } });
    });
    const ended = promisify(execFile)(process.execPath, ['src/main.ts', 'serve', '--config', path], {
      env: { ...process.env, E2E_SECRET: 'unused' },
    });
    await expect(ended).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('issuer_unavailable: The Workload API gives no X.509-SVID'),
    });
  });
});
