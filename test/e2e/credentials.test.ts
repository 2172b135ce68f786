// What the agent never sees: credentials minted for cleared calls alone, counted at a real issuer, and taken back
// however a call ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { type Rules, rule, type Section } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { RecordedRequest } from '../support/recorder.ts';

const RESOURCE = 'https://ledger.example.org';
const SECRET = 'ledger-client-secret-literal';
const made: string[] = [];
/** What the gateway logged before it was killed. */
const earlierLines: unknown[] = [];

const serial = countFrom(0);

const RULES: Rules = [
  rule.allow('reads', { upstream: 'ledger', methods: ['GET'] }, { credential: { scope: ['transfers:read'] } }),
  rule.hold(
    'pay',
    { upstream: 'ledger', methods: ['POST'], path: '/transfers' },
    { credential: { scope: ['transfers:write'] } },
  ),
  rule.allow('notes', { upstream: 'ledger', methods: ['POST'], path: '/notes' }),
  rule.allow('tags', { upstream: 'ledger', methods: ['POST'], path: '/tags' }, { when: 'request.body.tag == "x"' }),
  rule.hold('brief', { upstream: 'ledger', methods: ['POST'], path: '/brief' }, { tier: 'brief' }),
];
const TIERS: Section<'tiers'> = {
  payment: { reviewers: ['group:finance'], count: 1, decideWithin: '10m', useWithin: '5m' },
  brief: { reviewers: ['group:finance'], count: 1, decideWithin: '1s', useWithin: '1s' },
};

const it = gatewayTest
  .extend('collector', file, ({ closes }) => closes(startCollector()))
  .extend('env', file, ({ collector, environment }) =>
    environment(
      ({ origin, issuer }) => ({
        upstreams: { ledger: { url: origin, credential: 'ledger', timeouts: { headers: '2s' } } },
        credentials: {
          ledger: {
            type: 'oauth-client-credentials',
            issuer,
            clientId: 'countersign',
            clientSecret: { env: 'LEDGER_SECRET' },
            scope: 'transfers:read transfers:write',
            resource: RESOURCE,
          },
        },
        tiers: TIERS,
        rules: RULES,
        reviewers: { killSwitch: ['group:soc'] },
        limits: { wait: '60s', pendingPerAgent: 1000 },
      }),
      {
        issuer: {
          clients: [{ id: 'countersign', secret: SECRET }],
          resources: { [RESOURCE]: { scope: 'transfers:read transfers:write' } },
          alter: (answer) => {
            made.push(String(answer.access_token));
            return answer;
          },
        },
        env: { LEDGER_SECRET: SECRET, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
      },
    ),
  );

it.afterEach(({ env }) => env.upstream.respond((_request, response) => response.end('{"ok":true}')));

const payment = () => ({ to: 'ACME', reference: `c${serial()}` });
const pay = (env: Environment, body: unknown = payment(), more: Parameters<Environment['call']>[1] = {}) =>
  env.call('/ledger/transfers', { method: 'POST', body, ...more });
const bearerOf = (request: RecordedRequest) => String(request.headers.authorization).replace('Bearer ', '');
const outstanding = async (env: Environment) => {
  const response = await fetch(`http://127.0.0.1:${env.ports.ops}/credentials/outstanding`);
  return ((await response.json()) as { credentials: { id: string; name: string; holdId?: string }[] }).credentials;
};
const settled = (env: Environment) => expect.poll(() => outstanding(env), { timeout: 30_000 }).toEqual([]);

/** A payment that is approved as soon as it is held. */
async function paid(env: Environment, more: Parameters<Environment['call']>[1] = {}): Promise<Response> {
  const alice = await env.reviewer('alice');
  const { hold } = await alice.expect('PENDING');
  const answer = pay(env, payment(), more);
  await alice.approve(await hold);
  return answer;
}

describe('requests to the issuer', () => {
  it('are none for denied, pending, cancelled, expired and refused calls', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const [before, seen] = [env.issuer.requests('/token'), env.upstream.requests.length];
    expect((await env.call('/ledger/anything', { method: 'DELETE' })).status).toBe(403);
    const pending = await pay(env, payment(), { headers: { prefer: 'wait=0' } });
    expect(pending.status).toBe(409);
    const cancelled = await pay(env, payment(), { headers: { prefer: 'wait=0' } });
    await env.call(`/countersign/v1/holds/${cancelled.headers.get('countersign-hold')}`, { method: 'DELETE' });
    const { hold } = await alice.expect('PENDING');
    const refused = pay(env);
    await alice.deny(await hold);
    expect((await refused).status).toBe(403);
    const expired = await env.call('/ledger/brief', { method: 'POST', body: payment() });
    expect(await expired.json()).toMatchObject({ code: 'approval_expired' });
    expect([env.issuer.requests('/token'), env.upstream.requests.length]).toEqual([before, seen]);
  }, 60_000);

  it('are exactly one for a released call, which is narrowed by its rule, used once and revoked', async ({ env }) => {
    const [before, seen] = [env.issuer.requests('/token'), env.upstream.requests.length];
    const response = await paid(env);
    expect(response.status).toBe(200);
    const token = bearerOf(await env.upstream.arrived(seen));
    await settled(env);
    expect(env.issuer.requests('/token')).toBe(before + 1);
    expect(env.issuer.tokenRequests.at(-1)).toMatchObject({ scope: 'transfers:write', resource: RESOURCE });
    expect(made).toContain(token);
    expect(await env.issuer.isActive(token)).toBe(false);
  }, 60_000);

  it('are one for 500 calls that a rule allows', async ({ env }) => {
    const before = env.issuer.requests('/token');
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) => env.call(`/ledger/accounts/${index}`, { as: 'reader' })),
    );
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
    expect(env.issuer.requests('/token')).toBe(before + 1);
    const used = env.upstream.requests.filter(({ url }) => url.startsWith('/accounts/')).map(bearerOf);
    expect([used.length, new Set(used).size]).toEqual([500, 1]);
  }, 120_000);

  it('are 500 for 500 approved calls, each with a credential of its own that is revoked', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const [before, seen] = [env.issuer.requests('/token'), env.upstream.requests.length];
    const bodies = Array.from({ length: 500 }, payment);
    for (const chunk of chunksOf(bodies, 50)) {
      const held = await Promise.all(
        chunk.map((body) => pay(env, body, { as: 'payer', headers: { prefer: 'wait=0' } })),
      );
      await Promise.all(held.map((response) => alice.approve(response.headers.get('countersign-hold') ?? '')));
      const released = await Promise.all(chunk.map((body) => pay(env, body, { as: 'payer' })));
      expect(released.map(({ status }) => status)).toEqual(chunk.map(() => 200));
    }
    const used = env.upstream.requests.slice(seen).map(bearerOf);
    expect([used.length, new Set(used).size, env.issuer.requests('/token') - before]).toEqual([500, 500, 500]);
    await expect
      .poll(async () => (await outstanding(env)).filter(({ holdId }) => holdId !== undefined), { timeout: 60_000 })
      .toEqual([]);
    const active = await Promise.all(used.map(env.issuer.isActive));
    expect(active.filter(Boolean)).toEqual([]);
  }, 300_000);
});

describe('a credential of a released call is revoked', () => {
  const heldOutstanding = async (env: Environment) =>
    (await outstanding(env)).filter(({ holdId }) => holdId !== undefined);
  const gone = async (env: Environment, token: string) => {
    await expect.poll(() => env.issuer.isActive(token), { timeout: 30_000 }).toBe(false);
    await expect.poll(() => heldOutstanding(env), { timeout: 30_000 }).toEqual([]);
  };

  it('after an error of the upstream', async ({ env }) => {
    const seen = env.upstream.requests.length;
    env.upstream.respond((_request, response) => response.writeHead(500).end('no'));
    expect((await paid(env)).status).toBe(500);
    await gone(env, bearerOf(await env.upstream.arrived(seen)));
  }, 60_000);

  it('after a 401, which is passed on and not tried again', async ({ env }) => {
    const [seen, before] = [env.upstream.requests.length, env.issuer.requests('/token')];
    env.upstream.respond((_request, response) => response.writeHead(401).end('no'));
    expect((await paid(env)).status).toBe(401);
    await gone(env, bearerOf(await env.upstream.arrived(seen)));
    expect([env.upstream.requests.length, env.issuer.requests('/token')]).toEqual([seen + 1, before + 1]);
  }, 60_000);

  it('after the upstream’s connection broke', async ({ env }) => {
    const seen = env.upstream.requests.length;
    env.upstream.respond((_request, response) => response.socket?.destroy());
    expect((await paid(env)).status).toBe(502);
    await gone(env, bearerOf(await env.upstream.arrived(seen)));
  }, 60_000);

  it('after the upstream did not answer in time', async ({ env }) => {
    const seen = env.upstream.requests.length;
    env.upstream.respond(() => {});
    expect((await paid(env)).status).toBe(504);
    await gone(env, bearerOf(await env.upstream.arrived(seen)));
  }, 60_000);

  it('after its agent went away', async ({ env }) => {
    const seen = env.upstream.requests.length;
    const aborter = new AbortController();
    env.upstream.respond(() => aborter.abort());
    await expect(paid(env, { signal: aborter.signal })).rejects.toThrow();
    await gone(env, bearerOf(await env.upstream.arrived(seen)));
  }, 60_000);

  it('at the end of its task, while the call is still under way', async ({ env }) => {
    const opened = await env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay ACME' } });
    const { id } = (await opened.json()) as { id: string };
    const seen = env.upstream.requests.length;
    let finish = (): void => {};
    env.upstream.respond((_request, response) => {
      finish = () => response.end('{"ok":true}');
    });
    const answer = paid(env, { headers: { 'countersign-task': id } });
    const token = bearerOf(await env.upstream.arrived(seen));
    expect(await env.issuer.isActive(token)).toBe(true);
    expect((await env.call(`/countersign/v1/tasks/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect(await env.issuer.isActive(token)).toBe(false);
    finish();
    expect((await answer).status).toBe(200);
  }, 60_000);

  it('after an outage of its issuer; meanwhile it is outstanding, and nobody’s secret shows', async ({ env }) => {
    const seen = env.upstream.requests.length;
    let finish = (): void => {};
    env.upstream.respond((_request, response) => {
      finish = () => response.end('{"ok":true}');
    });
    const answer = paid(env);
    const token = bearerOf(await env.upstream.arrived(seen));
    await env.issuer.stop();
    finish();
    expect((await answer).status).toBe(200);
    await env.logged('countersign.credential.revoke_failed');
    const cli = await countersign('credentials', 'outstanding', '--url', `http://127.0.0.1:${env.ports.ops}`);
    expect(cli).toMatchObject({ code: 1, stdout: expect.stringContaining('ledger (oauth-client-credentials)') });
    expect(cli.stdout).not.toContain(token);
    await env.issuer.resume();
    await gone(env, token);
    const metrics = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
    expect(metrics).toMatch(/countersign_credential_revocations\w*\{[^}]*\} [1-9]/);
  }, 60_000);

  it('after kill -9, by the next start; until then the stopped gateway’s store tells of it', async ({ env }) => {
    const seen = env.upstream.requests.length;
    env.upstream.respond(() => {});
    const answer = paid(env).catch(() => 'cut');
    const token = bearerOf(await env.upstream.arrived(seen));
    expect(await env.issuer.isActive(token)).toBe(true);
    earlierLines.push(...env.log);
    await env.kill();
    await answer;
    const fixed = await countersign('credentials', 'outstanding', '--config', env.configPath);
    expect(fixed).toMatchObject({ code: 1, stdout: expect.stringContaining('no gateway is running') });
    expect(await env.issuer.isActive(token)).toBe(true);
    await env.start();
    await gone(env, token);
  }, 90_000);
});

describe('an upstream that refuses a shared credential', () => {
  it('gets the call once more with a fresh one', async ({ env }) => {
    let refused = '';
    expect((await env.call('/ledger/warm', { as: 'retrier' })).status).toBe(200);
    refused = bearerOf(env.upstream.requests.at(-1) as RecordedRequest);
    const before = env.issuer.requests('/token');
    env.upstream.respond((request, response) =>
      response.writeHead(bearerOf(request) === refused ? 401 : 200).end('{}'),
    );
    // A credential younger than a second is not replaced: asking goes on until it is older.
    await expect
      .poll(async () => (await env.call('/ledger/again', { as: 'retrier' })).status, { timeout: 30_000 })
      .toBe(200);
    expect(env.issuer.requests('/token')).toBe(before + 1);
    const tries = env.upstream.requests.filter(({ url }) => url === '/again');
    expect(tries.slice(-2).map((request) => bearerOf(request) === refused)).toEqual([true, false]);
  }, 60_000);

  it('gets the same bytes again when they were buffered, and nothing again when they were streamed', async ({
    env,
  }) => {
    const post = (path: string) => env.call(path, { method: 'POST', as: 'poster', body: { tag: 'x' } });
    expect((await post('/ledger/tags')).status).toBe(200);
    const refused = bearerOf(env.upstream.requests.at(-1) as RecordedRequest);
    env.upstream.respond((request, response) =>
      response.writeHead(bearerOf(request) === refused ? 401 : 200).end('{}'),
    );
    const before = env.upstream.requests.length;
    expect((await post('/ledger/notes')).status).toBe(401);
    expect(env.upstream.requests.length).toBe(before + 1);
    await expect.poll(async () => (await post('/ledger/tags')).status, { timeout: 30_000 }).toBe(200);
    const tries = env.upstream.requests.filter(({ url }) => url === '/tags').slice(-2);
    expect(tries.map(({ body }) => body)).toEqual(['{"tag":"x"}', '{"tag":"x"}']);
    expect(tries.map((request) => bearerOf(request) === refused)).toEqual([true, false]);
  }, 60_000);

  it('is not asked again for a caller that was suspended meanwhile', async ({ env }) => {
    const sam = await env.reviewer('sam', ['soc']);
    expect((await env.call('/ledger/warm', { as: 'suspendee' })).status).toBe(200);
    const warmAt = Date.now();
    await expect.poll(() => Date.now() - warmAt, { timeout: 10_000 }).toBeGreaterThan(1_000);
    const [before, seen] = [env.issuer.requests('/token'), env.upstream.requests.length];
    env.upstream.respond(async (_request, response) => {
      await sam.post('/suspensions', { principal: `${env.issuer.issuer}#suspendee`, reason: 'odd behaviour' });
      response.writeHead(401).end('no');
    });
    expect((await env.call('/ledger/late', { as: 'suspendee' })).status).toBe(401);
    expect([env.issuer.requests('/token'), env.upstream.requests.length]).toEqual([before, seen + 1]);
  }, 60_000);

  it('is not asked a third time, and its own answer reaches the agent', async ({ env }) => {
    expect((await env.call('/ledger/warm', { as: 'refused' })).status).toBe(200);
    const before = env.issuer.requests('/token');
    env.upstream.respond((_request, response) =>
      response.writeHead(401, { 'content-type': 'text/plain' }).end('wrong door'),
    );
    const response = await env.call('/ledger/shut', { as: 'refused' });
    expect([response.status, await response.text()]).toEqual([401, 'wrong door']);
    expect(env.upstream.requests.filter(({ url }) => url === '/shut').length).toBeLessThanOrEqual(2);
    expect(env.issuer.requests('/token')).toBeLessThanOrEqual(before + 1);
  }, 60_000);
});

describe('secrets', () => {
  it('are in no log line, no span, no audit record and no answer of the reviewers’ API', async ({ collector, env }) => {
    const alice = await env.reviewer('alice');
    const shown = JSON.stringify(await alice.list('all'));
    const audit = readdirSync(join(env.folder, 'data/audit'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join('\n');
    const log = JSON.stringify([...earlierLines, ...env.log]);
    expect(earlierLines.length).toBeGreaterThan(500);
    const traced = collector.text();
    expect(traced).toContain('countersign.credential.mint');
    expect(audit).toContain('oauth-client-credentials');
    expect(made.length).toBeGreaterThan(500);
    for (const place of [shown, audit, log, traced])
      for (const secret of [SECRET, ...made]) expect(place.includes(secret)).toBe(false);
  });
});

function* chunksOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

async function countersign(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    env: { ...process.env, LEDGER_SECRET: SECRET, E2E_SECRET: 'unused-secret' },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

interface Collector {
  readonly url: string;
  /** Everything that was exported, as it came: texts stand in protobuf as they are. */
  text(): string;
  close(): void;
}

async function startCollector(): Promise<Collector> {
  const bodies: Buffer[] = [];
  const server = createServer(async (request, response) => {
    for await (const chunk of request) bodies.push(chunk as Buffer);
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    text: () => Buffer.concat(bodies).toString('latin1'),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
