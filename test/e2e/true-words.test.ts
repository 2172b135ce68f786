// Kind: what an agent is told of its call's effect, on every plane: never more than the gateway knows at that moment.
// Seen from outside, where the upstream's own list of what it ran is the truth that the words are held against.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { rule } from '../support/config.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { openTaskGateway, payment, ranWith, type TaskGateway } from '../support/task-gateway.ts';
import { answered, approveTransfer } from './held.ts';

const NOTHING = /nothing was executed/i;
const MAYBE = /may have taken effect/i;
const now = { prefer: 'wait=0' };

describe('over HTTP', () => {
  let env: Environment;
  let alice: ReviewerClient;
  let sam: ReviewerClient;
  let serial = 0;
  const bill = () => ({ to: 'ACME', reference: `true-${serial++}` });

  beforeAll(async () => {
    // A port that nobody listens on.
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    env = await startEnvironment({
      upstreams: {
        api: { websocket: true },
        gone: { url: `http://127.0.0.1:${port}` },
      },
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.allow('sockets', { upstream: 'api', path: '/live', upgrade: true }),
        rule.allow('posts', { upstream: 'api', methods: ['POST'], path: '/posts' }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.hold('gone', { upstream: 'gone', methods: ['POST'] }),
        rule.allow('gone-reads', { upstream: 'gone', methods: ['GET'] }),
      ],
      reviewers: { killSwitch: ['group:soc'] },
    });
    [alice, sam] = await Promise.all([env.reviewer('alice'), env.reviewer('sam', ['soc'])]);
  });
  afterAll(() => env.close());

  it.each([
    ['breaks off before its answer', 'upstream_aborted', (response: { destroy(): void }) => void response.destroy()],
    [
      'answers with what is no HTTP',
      'upstream_protocol',
      (response: { socket: { end(text: string): void } | null }) => void response.socket?.end('what a day\r\n\r\n'),
    ],
    [
      'switches protocols unasked',
      'upstream_protocol',
      (response: { socket: { end(text: string): void } | null }) =>
        void response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    ],
    [
      'promises more than it sends',
      'upstream_aborted',
      (response: { socket: { end(text: string): void } | null }) =>
        void response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort'),
    ],
  ])('a call whose upstream %s may have taken effect', async (_what, code, how) => {
    const before = env.upstream.requests.length;
    env.upstream.respond((_request, response) => how(response as never));
    const answer = await answered(env.call('/api/posts', { method: 'POST', body: bill() }));
    expect(env.upstream.requests).toHaveLength(before + 1);
    expect([answer.code, answer.json.detail]).toEqual([code, expect.stringMatching(MAYBE)]);
    expect(answer.text).not.toMatch(NOTHING);
  });

  it('a call for which no connection could be made was not executed', async () => {
    const answer = await answered(env.call('/gone/accounts'));
    expect([answer.code, answer.json.detail]).toEqual(['upstream_unreachable', expect.stringMatching(NOTHING)]);
    expect(answer.text).not.toMatch(MAYBE);
  });

  it('an approved call that never arrived is told as that wherever it is asked after, and its key is used up', async () => {
    const options = { method: 'POST', body: bill(), headers: { ...now, 'idempotency-key': 'gone-1' } };
    const { hold } = await answered(env.call('/gone/transfers', options));
    await alice.approve(hold);
    expect((await answered(env.call('/gone/transfers', options))).code).toBe('upstream_unreachable');
    const again = await answered(env.call('/gone/transfers', options));
    expect([again.code, again.json.detail]).toEqual(['already_sent', expect.stringMatching(NOTHING)]);
    expect(again.text).not.toMatch(MAYBE);
    const view = await answered(env.call(`/countersign/v1/holds/${hold}`));
    expect(view.json).toMatchObject({ state: 'UPSTREAM_ERROR', detail: expect.stringMatching(NOTHING) });
    expect(view.json.detail).not.toMatch(/answered/);
  });

  it('an executed call is never said not to be: not to its Idempotency-Key, not to who would cancel it, not to who asks with a bad token', async () => {
    env.upstream.respond(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'),
    );
    const body = bill();
    const headers = { ...now, 'idempotency-key': `k-${body.reference}` };
    const id = await approveTransfer(env, alice, body, { headers });
    expect((await env.transfer(body, { headers })).status).toBe(200);
    const again = await answered(env.transfer(body, { headers }));
    const path = `/countersign/v1/holds/${id}`;
    const cancelled = await answered(env.call(path, { method: 'DELETE' }));
    const stranger = await answered(env.call(path, { headers: { authorization: 'Bearer a.b.c' } }));
    const expired = await answered(env.call(path, { claims: { exp: 1 } }));
    const other = await answered(env.call(path, { as: 'agent-2' }));
    const view = await answered(env.call(path));
    expect([again.code, cancelled.code, stranger.code, expired.code, other.code]).toEqual([
      'already_sent',
      'hold_closed',
      'token_malformed',
      'token_expired',
      'hold_not_found',
    ]);
    for (const { text } of [again, cancelled, stranger, expired, other, view]) expect(text).not.toMatch(NOTHING);
    expect(again.json.detail).toMatch(MAYBE);
  });

  it('a stream that is withheld from a suspended agent belongs to a call that may have taken effect; the next call was not executed', async () => {
    const as = 'agent-late';
    const { promise: suspended, resolve } = Promise.withResolvers<void>();
    env.upstream.respond((_request, response) => {
      void suspended.then(() => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n'));
    });
    const at = env.upstream.requests.length;
    const call = env.call('/api/posts', { method: 'POST', body: bill(), as });
    await env.upstream.arrived(at);
    const response = await sam.post('/suspensions', { principal: `${env.issuer.issuer}#${as}`, reason: 'odd' });
    expect(response.status).toBe(201);
    resolve();
    const withheld = await answered(call);
    expect([withheld.code, withheld.json.detail]).toEqual(['principal_suspended', expect.stringMatching(MAYBE)]);
    expect(withheld.text).not.toMatch(NOTHING);
    const next = await answered(env.call('/api/posts', { method: 'POST', body: bill(), as }));
    expect([next.code, next.json.detail]).toEqual(['principal_suspended', expect.stringMatching(NOTHING)]);
  });

  it('an upgrade that the upstream answers otherwise may have taken effect', async () => {
    env.upstream.respond((_request, response) => void response.writeHead(200).end('no'));
    const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}/api/live`, {
      headers: { authorization: `Bearer ${await env.token('agent-1')}` },
    });
    const [, answer] = await once(socket, 'unexpected-response');
    let text = '';
    for await (const chunk of answer.setEncoding('utf8')) text += chunk;
    expect(JSON.parse(text)).toMatchObject({ code: 'upstream_protocol', detail: expect.stringMatching(MAYBE) });
    expect(text).not.toMatch(NOTHING);
  });
});

describe('over MCP', () => {
  let gateway: TaskGateway;
  beforeAll(async () => {
    gateway = await openTaskGateway();
  });
  afterAll(async () => {
    await gateway.closeClients();
    await gateway.close();
  });

  it('an executed task is never said not to be, to who cancels it or asks after it in vain, in either form of tasks', async () => {
    const { env, alice, bank, connect, hold, modern, modernBank, untilStatus } = gateway;
    const client = await connect();
    const call = payment();
    const core = await hold(client, call);
    await alice.approve(core.id);
    await client.experimental.tasks.getTaskResult(core.taskId, CallToolResultSchema);
    expect(ranWith(bank, call.arguments.amount)).toHaveLength(1);

    const other = payment();
    const created = await modern('tools/call', other);
    const taskId = String(created.result?.taskId);
    await alice.approve(taskId.replace('countersign.', ''));
    await untilStatus(taskId, 'completed');
    expect(ranWith(modernBank, other.arguments.amount)).toHaveLength(1);

    const said: string[] = [];
    const ask = async (path: string, method: string, id: string, authorization?: string): Promise<void> => {
      const version = path === '/tools' ? '2025-11-25' : '2026-07-28';
      const meta = {
        'io.modelcontextprotocol/protocolVersion': version,
        'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
      };
      const response = await env.call(path, {
        method: 'POST',
        headers: {
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': version,
          ...(authorization && { authorization }),
        },
        body: { jsonrpc: '2.0', id: 7, method, params: { taskId: id, ...(path === '/modern' && { _meta: meta }) } },
      });
      said.push(await response.text());
    };
    const expired = `Bearer ${await env.token('agent-1', { exp: 1 })}`;
    const stranger = `Bearer ${await env.token('agent-2')}`;
    for (const [path, id, methods] of [
      ['/tools', core.taskId, ['tasks/cancel', 'tasks/get', 'tasks/result', 'tasks/list']],
      ['/modern', taskId, ['tasks/cancel', 'tasks/get', 'tasks/update', 'tasks/nonsense']],
    ] as const) {
      for (const method of methods) for (const as of [undefined, expired, stranger]) await ask(path, method, id, as);
    }
    expect(said).toHaveLength(24);
    expect(said.filter((text) => NOTHING.test(text))).toEqual([]);
    expect(said[0]).toContain('hold_closed');
  });

  it('a call that ended before it was sent says so as a task, too', async () => {
    const { alice, connect, hold } = gateway;
    const client = await connect();
    const { taskId, id } = await hold(client);
    await alice.deny(id);
    expect(await client.experimental.tasks.getTask(taskId)).toMatchObject({
      status: 'failed',
      statusMessage: expect.stringMatching(NOTHING),
    });
  });
});
