// The gateway's own word as a credential, verified by an upstream that fetches the gateway's keys; and a provider of
// the operator's own.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { describe, expect } from 'vitest';
import { type Rules, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const ISSUER = 'https://gateway.test/countersign';
const RULES: Rules = [
  rule.allow('vouched', { upstream: 'vouched', methods: ['GET'] }),
  rule.hold('pay', { upstream: 'vouched', methods: ['POST'] }, { credential: { scope: ['pay'] } }),
  rule.allow('ticketed', { upstream: 'ticketed', methods: ['GET'] }, { credential: { rights: ['read'] } }),
  rule.hold('sell', { upstream: 'ticketed', methods: ['POST'] }, { credential: { rights: ['sell'] } }),
];

interface Desk {
  readonly url: string;
  readonly open: ReadonlySet<string>;
  readonly requests: readonly { readonly method: string; readonly body: string }[];
  close(): void;
}

const it = gatewayTest
  .extend('desk', file, ({ closes }) => closes(startDesk()))
  .extend('env', file, ({ desk, environment }) =>
    environment(
      ({ origin }) => ({
        upstreams: {
          vouched: { url: origin, credential: 'word' },
          ticketed: { url: origin, credential: 'ticket' },
        },
        credentials: {
          word: { type: 'signed-jwt', audience: 'https://ledger.example.org', scope: 'read pay' },
          ticket: {
            type: 'module',
            path: resolve('config/examples/ticket-provider.ts'),
            options: { desk: desk.url, user: 'gateway', rights: ['read', 'sell'] },
            secrets: { password: { env: 'DESK_PASSWORD' } },
          },
        },
        rules: RULES,
        signing: { issuer: ISSUER },
      }),
      { env: { DESK_PASSWORD: 'desk-password-literal' } },
    ),
  );

const own = (env: Environment, path: string) => `http://127.0.0.1:${env.ports.agents}/countersign${path}`;

async function approved(env: Environment, path: string): Promise<Response> {
  const alice = await env.reviewer('alice');
  const { hold } = await alice.expect('PENDING');
  const answer = env.call(path, { method: 'POST', body: { amount: 1 } });
  await alice.approve(await hold);
  return answer;
}

describe('the gateway’s word', () => {
  it('is verified by an upstream with the keys that anybody may fetch', async ({ env }) => {
    const discovery = (await (await fetch(own(env, '/.well-known/openid-configuration'))).json()) as {
      issuer: string;
      jwks_uri: string;
    };
    expect(discovery).toMatchObject({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks.json` });
    const seen = env.upstream.requests.length;
    const response = await approved(env, '/vouched/transfers');
    expect(response.status).toBe(200);
    const token = String((await env.upstream.arrived(seen)).headers.authorization).replace('Bearer ', '');
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(own(env, '/jwks.json'))), {
      issuer: ISSUER,
      audience: 'https://ledger.example.org',
    });
    const agent = `${env.issuer.issuer}#agent-1`;
    expect(payload).toMatchObject({
      sub: agent,
      act: { sub: agent },
      scope: 'pay',
      countersign_hold: response.headers.get('countersign-hold'),
    });
  }, 60_000);

  it('is still verified after a restart, by the same key', async ({ env }) => {
    const [before] = ((await (await fetch(own(env, '/jwks.json'))).json()) as { keys: unknown[] }).keys;
    await env.terminate();
    await env.start();
    expect(((await (await fetch(own(env, '/jwks.json'))).json()) as { keys: unknown[] }).keys).toEqual([before]);
  }, 60_000);

  it('cannot be fetched as anything else: only the two documents are public', async ({ env }) => {
    expect((await fetch(own(env, '/signing-keys.json'))).status).toBe(401);
    expect((await fetch(own(env, '/jwks.json'), { method: 'POST' })).status).toBe(401);
  });
});

describe('a provider of one’s own', () => {
  it('mints once for calls that a rule allows', async ({ desk, env }) => {
    const before = desk.requests.length;
    const seen = env.upstream.requests.length;
    for (const path of ['/ticketed/a', '/ticketed/b']) expect((await env.call(path)).status).toBe(200);
    expect(desk.requests.slice(before).map(({ method }) => method)).toEqual(['POST']);
    expect(JSON.parse(desk.requests[before]?.body ?? '')).toMatchObject({
      user: 'gateway',
      password: 'desk-password-literal',
      rights: ['read'],
    });
    const used = env.upstream.requests.slice(seen).map(({ headers }) => headers['x-ticket']);
    expect(new Set(used).size).toBe(1);
    expect(desk.open.has(String(used[0]))).toBe(true);
  });

  it('mints for an approved call alone, and the ticket is taken back', async ({ desk, env }) => {
    const seen = env.upstream.requests.length;
    expect((await approved(env, '/ticketed/sales')).status).toBe(200);
    const ticket = String((await env.upstream.arrived(seen)).headers['x-ticket']);
    expect(ticket).toMatch(/^ticket-/);
    await expect.poll(() => desk.open.has(ticket), { timeout: 20_000 }).toBe(false);
  }, 60_000);
});

/** A desk whose tickets can be counted. */
async function startDesk(): Promise<Desk> {
  const open = new Set<string>();
  const requests: { method: string; body: string }[] = [];
  const server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    requests.push({ method: request.method ?? '', body });
    if (request.method === 'DELETE') {
      open.delete(decodeURIComponent(request.url?.split('/').at(-1) ?? ''));
      return response.writeHead(204).end();
    }
    const ticket = `ticket-${crypto.randomUUID()}`;
    open.add(ticket);
    response.end(JSON.stringify({ ticket, rights: (JSON.parse(body) as { rights: string[] }).rights, seconds: 300 }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open,
    requests,
    close: () => server.close(),
  };
}
