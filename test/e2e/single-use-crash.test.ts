// What was used once stays used after a kill -9. Kind: a fact that decides "once" and lives in memory only. DPoP
// proofs, requestStates, sessions that were ended (an agent's at a shared mount, a person's at the console) and
// sign-ins at the console, all by whole processes.

import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type QuickstartIssuer, startQuickstartIssuer } from '../../config/quickstart/issuer.ts';
import { deskUrlOf, freePort } from '../../config/quickstart/layout.ts';
import { rule } from '../support/config.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { call, INITIALIZE, openSharedMount, request, type SharedMount } from '../support/shared-mount.ts';
import { createVisitor } from '../support/visitor.ts';

const GATEWAY = 'https://gateway.test';

async function restart(env: Environment): Promise<void> {
  await env.kill();
  await env.start();
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a DPoP proof that was used before a kill -9', { timeout: 120_000 }, () => {
  let env: Environment;
  let privateKey: KeyObject;
  let jwk: Readonly<Record<string, unknown>>;
  let jkt: string;
  beforeEach(async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    privateKey = pair.privateKey;
    jwk = { ...pair.publicKey.export({ format: 'jwk' }) };
    jkt = await calculateJwkThumbprint(jwk);
    env = await startEnvironment(({ origin }) => ({
      listeners: { agents: { url: GATEWAY } },
      upstreams: { tools: { url: `${origin}/mcp`, protocol: 'mcp' } },
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET', 'PUT'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'] }),
        rule.hold('tools', { upstream: 'tools', tool: '*' }),
      ],
      limits: { wait: '0s' },
    }));
  });
  afterEach(() => env.close());

  interface Use {
    readonly method: string;
    readonly path: string;
    readonly body?: unknown;
    /** Seconds that the agent's clock is ahead. */
    readonly ahead?: number;
  }

  async function headersOf({ method, path, ahead = 0 }: Use): Promise<Record<string, string>> {
    const token = await env.token('agent-1', { cnf: { jkt } });
    const ath = createHash('sha256').update(token).digest('base64url');
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: `${GATEWAY}${path}`,
      iat: Math.floor(Date.now() / 1000) + ahead,
      ath,
    };
    const input = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString(
      'base64url',
    );
    return { authorization: `DPoP ${token}`, dpop: `${input}.${signature}` };
  }

  const send = async ({ method, path, body }: Use, headers: Readonly<Record<string, string>>) => {
    const response = await env.call(path, { method, headers, ...(body !== undefined && { body }) });
    const text = await response.text();
    return { status: response.status, refused: /"check":"([^"]+)"/.exec(text)?.[1] };
  };

  const USES: readonly (readonly [string, Use])[] = [
    ['an allowed read', { method: 'GET', path: '/api/accounts' }],
    ['an allowed write', { method: 'PUT', path: '/api/accounts/7', body: { name: 'x' } }],
    ['a held call', { method: 'POST', path: '/api/transfers', body: { amount: 1 } }],
    [
      'a held tool call',
      {
        method: 'POST',
        path: '/tools',
        body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'pay' } },
      },
    ],
    [
      'a task that was opened',
      { method: 'POST', path: '/countersign/v1/tasks', body: { objective: 'x', plan: [], labels: [] } },
    ],
    ['a call of an agent whose clock is ahead', { method: 'GET', path: '/api/ahead', ahead: 9 }],
    ['a call of an agent whose clock is behind', { method: 'GET', path: '/api/behind', ahead: -30 }],
  ];

  it('is refused after it, whatever it was used for, and a new proof is taken at once', async () => {
    const used = await Promise.all(USES.map(async ([what, use]) => ({ what, use, headers: await headersOf(use) })));
    const before = await Promise.all(used.map(({ use, headers }) => send(use, headers)));
    expect(before.map(({ refused }) => refused)).toEqual(used.map(() => undefined));
    await restart(env);
    const sent = env.upstream.requests.length;
    for (const { what, use, headers } of used)
      expect([what, await send(use, headers)]).toEqual([what, { status: 401, refused: 'replay' }]);
    expect(env.upstream.requests).toHaveLength(sent);
    for (const [what, use] of USES)
      expect([what, (await send(use, await headersOf(use))).refused]).toEqual([what, undefined]);
  });

  it('is refused after it also when its call was under way: it was on disk before the first byte left', async () => {
    env.upstream.respond(() => {});
    const use = { method: 'PUT', path: '/api/accounts/8', body: { n: 1 } };
    const headers = await headersOf(use);
    const broken = send(use, headers).catch((error: unknown) => error);
    await env.upstream.arrived(0);
    await restart(env);
    expect(await broken).toBeInstanceOf(TypeError);
    expect(await send(use, headers)).toEqual({ status: 401, refused: 'replay' });
    expect(env.upstream.requests).toHaveLength(1);
  });
});

describe('a requestState that was answered with before a kill -9', { timeout: 120_000 }, () => {
  it('stays used, and one that was not used is still good', async () => {
    const env = await startEnvironment(({ origin }) => ({
      upstreams: { tools: { url: `${origin}/mcp`, protocol: 'mcp' } },
      rules: [rule.hold('tools', { upstream: 'tools', tool: '*' })],
    }));
    try {
      const send = async (more: object) => {
        const params = {
          name: 'pay',
          arguments: {},
          _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
          ...more,
        };
        const headers = {
          ...{ accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', prefer: 'wait=0' },
          ...{ 'mcp-method': 'tools/call', 'mcp-name': 'pay' },
        };
        const response = await env.call('/tools', {
          method: 'POST',
          headers,
          body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params },
        });
        return ((await response.json()) as { result: { requestState?: string; resultType?: string; _meta?: unknown } })
          .result;
      };
      const { requestState: first } = await send({});
      const { requestState: second } = await send({ requestState: first });
      await restart(env);
      expect((await send({ requestState: first }))._meta).toEqual({ 'countersign/code': 'bad_rpc' });
      expect(await send({ requestState: second })).toMatchObject({ resultType: 'input_required' });
      expect((await send({ requestState: second }))._meta).toEqual({ 'countersign/code': 'bad_rpc' });
    } finally {
      await env.close();
    }
  });
});

describe('an agent’s session at a shared mount that was ended before a kill -9', { timeout: 120_000 }, () => {
  let mount: SharedMount;
  beforeEach(async () => {
    mount = await openSharedMount();
  });
  afterEach(() => mount.close());

  it('stays ended, and one that was not ended stays open', async () => {
    const { env, post, open } = mount;
    const [ended, open2] = [await open(), await open()];
    expect((await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': ended } })).status).toBe(200);
    await restart(env);
    expect((await post(call('a__echo'), ended)).status).toBe(404);
    expect((await post(request('tools/list'), ended)).status).toBe(404);
    expect((await env.call('/one', { method: 'DELETE', headers: { 'mcp-session-id': ended } })).status).toBe(404);
    expect((await post(call('a__echo'), open2)).json.result.content[0].text).toBe('a ran "echo"');
    expect((await post(request('initialize', INITIALIZE))).session).not.toBeNull();
  });
});

describe('a person’s way to the console that was used before a kill -9', { timeout: 120_000 }, () => {
  let issuer: QuickstartIssuer;
  let env: Environment;
  let url: string;
  let dataDir: string;
  beforeEach(async () => {
    const port = await freePort();
    url = deskUrlOf(port);
    dataDir = mkdtempSync(join(tmpdir(), 'countersign-issuer-'));
    issuer = await startQuickstartIssuer({
      port: 0,
      dataDir,
      gatewayAudience: GATEWAY,
      ledgerAudience: 'https://ledger.test',
      deskUrl: url,
    });
    env = await startEnvironment({
      listeners: { reviewers: { address: `127.0.0.1:${port}`, url } },
      reviewers: {
        login: { issuer: issuer.issuer, clientId: 'desk', clientSecret: { file: issuer.clients.desk.secretFile } },
      },
    });
  });
  afterEach(async () => {
    await env.close();
    await issuer.close();
    rmSync(dataDir, { recursive: true });
  });

  const inbox = async (cookies: ReadonlyMap<string, string>): Promise<number> =>
    (await fetch(url, { headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } }))
      .status;

  it('stays used: a session that was signed out, one that a new sign-in replaced, and a sign-in that came back', async () => {
    const alice = createVisitor('alice');
    const callback = await alice.signInUntilCallback(url);
    const transaction = new Map([...alice.cookies].filter(([name]) => name.includes('countersign')));
    expect((await alice.fetch(callback)).status).toBe(303);
    const signedOut = new Map(alice.cookies);
    const csrf = /name="csrf" value="([^"]+)"/.exec(await (await alice.fetch(url)).text())?.[1] ?? '';
    expect((await alice.fetch(`${url}/sign-out`, { csrf })).status).toBe(200);

    const bob = createVisitor('bob');
    await bob.fetch(await bob.signInUntilCallback(url));
    const replaced = new Map(bob.cookies);
    await bob.fetch(await bob.signInUntilCallback(url));
    const kept = new Map(bob.cookies);
    expect(await Promise.all([inbox(signedOut), inbox(replaced), inbox(kept)])).toEqual([401, 401, 200]);

    await restart(env);
    expect(await Promise.all([inbox(signedOut), inbox(replaced), inbox(kept)])).toEqual([401, 401, 200]);
    const again = createVisitor('alice');
    for (const [name, value] of transaction) again.cookies.set(name, value);
    expect((await again.fetch(callback)).status).toBe(401);
    expect([...again.cookies.keys()].filter((name) => name.includes('session'))).toEqual([]);
  });
});
