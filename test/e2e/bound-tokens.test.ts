// A held call that was made with a key is claimed with that key and with no other, by the whole gateway.

import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect } from 'vitest';
import { type Rules, rule, type Section } from '../support/config.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startStrictServer } from '../support/strict-mcp-server.ts';

const GATEWAY = 'https://gateway.test';

interface Key {
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
  readonly jkt: string;
}

async function makeKey(): Promise<Key> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  return { privateKey, jwk: { ...jwk }, jkt: await calculateJwkThumbprint(jwk) };
}

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment(({ origin }) => ({
      listeners: { agents: { url: GATEWAY } },
      upstreams: { tools: { url: `${origin}/mcp`, protocol: 'mcp' } },
      rules: [rule.hold('transfers', { upstream: 'api' }), rule.hold('tools', { upstream: 'tools', tool: '*' })],
      limits: { wait: '0s' },
    })),
  )
  .extend('mine', file, () => makeKey())
  .extend('other', file, () => makeKey());

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function proof(token: string, { privateKey, jwk }: Key, method: string, path: string): string {
  const ath = createHash('sha256').update(token).digest('base64url');
  const claims = { jti: randomUUID(), htm: method, htu: `${GATEWAY}${path}`, iat: Math.floor(Date.now() / 1000), ath };
  const input = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })}.${encode(claims)}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

async function transfer(env: Environment, key: Key, amount: number, more: Readonly<Record<string, string>> = {}) {
  // As Keycloak writes it: with a word of its own beside the thumbprint (RFC 7800 section 3.1).
  const token = await env.token('agent-1', { cnf: { jkt: key.jkt, 'kc-jkt-type': 'DPoP' } });
  const headers = { authorization: `DPoP ${token}`, dpop: proof(token, key, 'POST', '/api/transfers'), ...more };
  const response = await env.transfer({ amount }, { headers });
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    hold: response.headers.get('countersign-hold'),
  };
}

describe('a token bound to a DPoP key', () => {
  it('claims the approval that was given to its key; the same caller with another key gets a hold of its own', async ({
    env,
    mine,
    other,
  }) => {
    const held = await transfer(env, mine, 1);
    expect(held).toMatchObject({ status: 409, body: { code: 'approval_pending' } });
    const reviewer = await env.reviewer('rita');
    expect((await reviewer.show(held.hold ?? '')).principal).toMatchObject({ keyThumbprint: mine.jkt });
    await reviewer.approve(held.hold ?? '');

    const stolen = await transfer(env, other, 1);
    expect(stolen).toMatchObject({ status: 409, body: { code: 'approval_pending' } });
    expect(stolen.hold).not.toBe(held.hold);
    expect(env.upstream.requests).toHaveLength(0);

    expect(await transfer(env, mine, 1)).toMatchObject({ status: 200, hold: held.hold });
    const [sent] = env.upstream.requests;
    expect(sent?.headers).not.toHaveProperty('dpop');
  });

  it('is released while it waits, although its one proof has been used up at the door', async ({ mine }) => {
    const waiting = await startEnvironment({ listeners: { agents: { url: GATEWAY } } });
    try {
      const token = await waiting.token('agent-1', { cnf: { jkt: mine.jkt } });
      const headers = { authorization: `DPoP ${token}`, dpop: proof(token, mine, 'POST', '/api/transfers') };
      const answer = waiting.transfer({ amount: 2 }, { headers });
      const reviewer = await waiting.reviewer('rita');
      await expect.poll(async () => (await reviewer.list()).length, { timeout: 10_000 }).toBe(1);
      const [hold] = await reviewer.list();
      await reviewer.approve(hold?.id ?? '');
      expect((await answer).status).toBe(200);
      expect(waiting.upstream.requests).toHaveLength(1);
    } finally {
      await waiting.close();
    }
  }, 60_000);

  it('is released while it waits for one of several MCP servers that share a mount', async ({ mine }) => {
    const server = await startStrictServer('a');
    const upstreams: Section<'upstreams'> = { shared: { protocol: 'mcp', servers: { a: { url: server.url } } } };
    const rules: Rules = [rule.hold('pay', { tool: 'a__pay' })];
    const waiting = await startEnvironment({
      listeners: { agents: { url: GATEWAY } },
      upstreams: upstreams,
      rules,
    });
    try {
      const token = await waiting.token('agent-1', { cnf: { jkt: mine.jkt } });
      const post = (method: string, params: object, session?: string) =>
        waiting.call('/shared', {
          method: 'POST',
          body: { jsonrpc: '2.0', id: method, method, params },
          headers: {
            authorization: `DPoP ${token}`,
            dpop: proof(token, mine, 'POST', '/shared'),
            ...(session && { 'mcp-session-id': session }),
          },
        });
      const session = (await post('initialize', { protocolVersion: '2025-11-25' })).headers.get('mcp-session-id') ?? '';
      const reviewer = await waiting.reviewer('rita');
      const { hold } = await reviewer.expect('PENDING');
      const answer = post('tools/call', { name: 'a__pay' }, session);
      await reviewer.approve(await hold);
      expect(await (await answer).json()).toMatchObject({ result: { content: [{ text: 'a ran "pay"' }] } });
      expect(server.faults).toEqual([]);
    } finally {
      await waiting.close();
      await server.kill();
    }
  }, 60_000);

  it('fetches the result of its MCP task with that key; with another key there is no such task', async ({
    env,
    mine,
    other,
  }) => {
    const send = async (key: Key, method: string, params: object) => {
      const token = await env.token('agent-1', { cnf: { jkt: key.jkt } });
      const headers = {
        authorization: `DPoP ${token}`,
        dpop: proof(token, key, 'POST', '/tools'),
        'mcp-protocol-version': '2025-11-25',
      };
      const response = await env.call('/tools', {
        method: 'POST',
        headers,
        body: { jsonrpc: '2.0', id: 1, method, params },
      });
      return (await response.json()) as {
        result?: { task?: { taskId: string }; content?: unknown };
        error?: { code: number; message: string };
      };
    };
    const created = await send(mine, 'tools/call', { name: 'pay', arguments: { amount: 1 }, task: {} });
    const taskId = String(created.result?.task?.taskId);
    const reviewer = await env.reviewer('rita');
    await reviewer.approve(taskId.replace('countersign.', ''));
    const before = env.upstream.requests.length;
    const never = await send(other, 'tasks/result', { taskId: `countersign.hold_${'A'.repeat(22)}` });
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
      expect(await send(other, method, { taskId })).toEqual(never);
    expect((await reviewer.show(taskId.replace('countersign.', ''))).state).toBe('APPROVED');
    env.upstream.respond((_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    });
    expect((await send(mine, 'tasks/result', { taskId })).result).toMatchObject({ content: [] });
    const sent = env.upstream.requests.slice(before);
    expect(sent.map(({ body }) => JSON.parse(body))).toEqual([
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'pay', arguments: { amount: 1 } } },
    ]);
  });

  it('is refused without a proof, with the challenge of its scheme', async ({ env, mine }) => {
    const token = await env.token('agent-1', { cnf: { jkt: mine.jkt } });
    const response = await env.transfer({ amount: 3 }, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^DPoP realm="countersign", error="invalid_token"/);
    expect(await response.json()).toMatchObject({ code: 'proof_required', check: 'scheme' });
  });
});
