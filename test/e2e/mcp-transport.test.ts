// Streamable HTTP through the gateway as its revisions have it: sessions, event streams that servers open and clients
// resume, and what hostile clients make of messages. The session's server is the SDK's; streams come from a recording
// upstream, which shows what reached it.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect } from 'vitest';
import { WebSocket } from 'ws';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

interface Message {
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string; readonly data?: { readonly code?: string } };
}

const aborters: AbortController[] = [];

const it = gatewayTest
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('env', file, ({ bank, modernBank, environment }) =>
    environment(({ origin }) => ({
      upstreams: {
        tools: { url: bank.url, protocol: 'mcp' },
        modern: { url: modernBank.url, protocol: 'mcp' },
        raw: { url: `${origin}/mcp`, protocol: 'mcp' },
      },
      rules: [
        rule.allow('read', { tool: 'read_balance' }),
        rule.hold('pay', { tool: 'transfer_funds' }),
        rule.hold('raw', { upstream: 'raw', tool: '*' }),
        rule.allow('vendor', { upstream: 'raw', mcp: ['vendor/*'] }),
      ],
      limits: { wait: '1s', inspectedBody: '64KiB', heldBody: '64KiB', pendingPerAgent: 100 },
    })),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

afterEach(() => {
  for (const aborter of aborters.splice(0)) aborter.abort();
});

const ACCEPT = { accept: 'application/json, text/event-stream' };

async function post(
  env: Environment,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
  as = 'agent-1',
): Promise<Response> {
  return env.call(path, { method: 'POST', body, as, headers: { ...ACCEPT, ...headers } });
}

/** The one message of an answer, whether JSON or an event stream. */
async function messageOf(response: Response): Promise<Message> {
  const text = await response.text();
  return JSON.parse(text.startsWith('{') ? text : (text.match(/^data: (\{.*)$/m)?.[1] ?? '{}'));
}

const initialize = (protocolVersion: string) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});
const call = (id: number | string, name: string, args: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

async function openSession(env: Environment, version = '2025-11-25', as = 'agent-1'): Promise<Record<string, string>> {
  const opened = await post(env, '/tools', initialize(version), {}, as);
  const session = opened.headers.get('mcp-session-id') ?? '';
  expect((await messageOf(opened)).result).toMatchObject({ protocolVersion: version });
  return { 'mcp-session-id': session, 'mcp-protocol-version': version };
}

describe('an event stream that the server opens', () => {
  it('brings its notifications, keeps their ids, and is resumed from the last one', async ({ env }) => {
    const note = (n: number) =>
      `id: s1-${n}\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:${n}"}}\n\n`;
    env.upstream.respond(({ headers }, response) => {
      const from = Number(String(headers['last-event-id'] ?? 's1-0').slice(3));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let n = from + 1; n <= from + 2; n++) response.write(note(n));
    });
    const read = async (headers: Record<string, string>, until: string): Promise<string> => {
      const aborter = new AbortController();
      aborters.push(aborter);
      const response = await env.call('/raw', {
        headers: { accept: 'text/event-stream', ...headers },
        signal: aborter.signal,
      });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      let text = '';
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        if (text.includes(until)) break;
      }
      return text;
    };
    const strip = (text: string) => text.match(/id: s1-\d/g);
    expect(strip(await read({ 'mcp-session-id': 'abc' }, '"x:2"}}\n\n'))).toEqual(['id: s1-1', 'id: s1-2']);
    expect(strip(await read({ 'mcp-session-id': 'abc', 'last-event-id': 's1-2' }, '"x:4"}}\n\n'))).toEqual([
      'id: s1-3',
      'id: s1-4',
    ]);
    const sent = env.upstream.requests.at(-1);
    expect(sent).toMatchObject({ method: 'GET', headers: { 'mcp-session-id': 'abc', 'last-event-id': 's1-2' } });
  });
});

describe('a method that this version has never heard of', () => {
  it('needs a rule', async ({ env }) => {
    env.upstream.respond((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"ok":1}}'),
    );
    const before = env.upstream.requests.length;
    const refused = await messageOf(await post(env, '/raw', { jsonrpc: '2.0', id: 1, method: 'other/thing' }));
    expect(refused.error?.data).toEqual({ code: 'no_matching_rule' });
    expect(env.upstream.requests).toHaveLength(before);
    expect(
      (await messageOf(await post(env, '/raw', { jsonrpc: '2.0', id: 1, method: 'vendor/thing' }))).result,
    ).toEqual({
      ok: 1,
    });
  });
});

describe('what a hostile client sends', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const raw = (params: string, id = '"id":1,') => `{"jsonrpc":"2.0",${id}"method":"tools/call","params":${params}}`;

  it.for<[string, string, number, string]>([
    ['a tool call as a notification', raw('{"name":"transfer_funds","arguments":{"amount":1}}', ''), 400, 'bad_rpc'],
    ['a notification with an id', '{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}', 400, 'bad_rpc'],
    ['a name twice', raw('{"name":"read_balance","name":"transfer_funds"}'), 400, 'bad_json'],
    [
      'arguments twice',
      raw('{"name":"transfer_funds","arguments":{"amount":1},"arguments":{"amount":2}}'),
      400,
      'bad_json',
    ],
    [
      'a member of the arguments twice, once escaped',
      raw('{"name":"transfer_funds","arguments":{"amount":1,"\\u0061mount":2}}'),
      400,
      'bad_json',
    ],
    [
      'arguments that are nested too deeply',
      raw(`{"name":"read_balance","arguments":{"a":${nested(500)}}}`),
      400,
      'bad_json',
    ],
    [
      'arguments that are too large',
      raw(`{"name":"read_balance","arguments":{"a":"${'x'.repeat(70_000)}"}}`),
      413,
      'payload_too_large',
    ],
    ['an id that is an object', raw('{"name":"read_balance"}', '"id":{},'), 400, 'bad_rpc'],
    [
      'a number that loses digits',
      raw('{"name":"transfer_funds","arguments":{"amount":12345678901234567890}}'),
      400,
      'bad_json',
    ],
    ['a request and a response at once', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 400, 'bad_rpc'],
    [
      'two messages in one body',
      `${raw('{"name":"read_balance"}')}\n${raw('{"name":"transfer_funds"}')}`,
      400,
      'bad_json',
    ],
  ] as const)('is refused: %s', async ([_what, body, status, code], { bank, env }) => {
    const before = bank.arrived.length;
    const response = await post(env, '/tools', body);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([status, code]);
    expect(bank.arrived).toHaveLength(before);
  });
});

// Kind: frames that a client does not take, because it goes by the name of an event and they have none.
describe('a stream in which a held call waits', () => {
  it.for<[string, 'approve' | 'deny']>([
    ['the answer', 'approve'],
    ['a denial', 'deny'],
  ] as const)('names the event of each of its frames, to %s', async ([_end, decision], { env, alice }) => {
    const session = await openSession(env);
    const { hold } = await alice.expect('PENDING');
    const amount = decision === 'approve' ? 21 : 22;
    const params = { name: 'transfer_funds', arguments: { amount }, _meta: { progressToken: 'p' } };
    const answer = post(env, '/tools', { ...call(amount, 'transfer_funds', { amount }), params }, session);
    await alice[decision](await hold);
    const text = await (await answer).text();
    const frames = text.split('\n\n').filter((frame) => /^data:/m.test(frame));
    expect(frames.length).toBeGreaterThanOrEqual(2);
    for (const frame of frames) expect(frame).toMatch(/^event: message\n(?:id: .*\n)?data: \{/);
    expect(text).toContain(decision === 'approve' ? 'done transfer_funds' : 'approval_denied');
  });
});

describe('the request of somebody else', () => {
  it('is not cancelled by who guesses its number and its session', async ({ env, alice }) => {
    const session = await openSession(env);
    const { hold } = await alice.expect('PENDING');
    const message = {
      ...call('guessable', 'transfer_funds', { amount: 11 }),
      params: { name: 'transfer_funds', arguments: { amount: 11 }, _meta: { progressToken: 1 } },
    };
    const answer = post(env, '/tools', message, session);
    const id = await hold;
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'guessable' } };
    await post(env, '/tools', cancel, session, 'agent-2');
    expect((await alice.show(id)).state).toBe('PENDING');
    const { hold: cancelled } = await alice.expect('CANCELLED', id);
    await post(env, '/tools', cancel, session);
    expect(await cancelled).toBe(id);
    await (await answer).text();
  });

  it('is not reached with its requestState, nor with one that was used', async ({ modernBank, env }) => {
    const VERSION = { 'mcp-protocol-version': '2026-07-28' };
    const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const send = async (more: object, as = 'agent-1', amount = 12) => {
      const params = { name: 'transfer_funds', arguments: { amount }, _meta, ...more };
      return messageOf(
        await post(
          env,
          '/modern',
          { jsonrpc: '2.0', id: 1, method: 'tools/call', params },
          { ...VERSION, prefer: 'wait=0' },
          as,
        ),
      );
    };
    const first = await send({});
    const { requestState } = first.result ?? {};
    expect(typeof requestState).toBe('string');
    const refusedWith = async (more: object, as?: string, amount?: number) =>
      (await send(more, as, amount)).result?._meta;
    expect(await refusedWith({ requestState }, 'agent-2')).toEqual({ 'countersign/code': 'bad_rpc' });
    expect(await refusedWith({ requestState }, 'agent-1', 13)).toEqual({ 'countersign/code': 'bad_rpc' });
    expect((await send({ requestState })).result).toMatchObject({ resultType: 'input_required' });
    expect(await refusedWith({ requestState })).toEqual({ 'countersign/code': 'bad_rpc' });
    expect(modernBank.ran).toHaveLength(0);
  });
});

describe('the call of a task', () => {
  const headers = {
    ...ACCEPT,
    'content-type': 'application/json',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'tool',
  };
  const META =
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}';
  const poll = (env: Environment, taskId: unknown) =>
    env.call('/raw', {
      method: 'POST',
      headers: { ...headers, 'mcp-method': 'tasks/get', 'mcp-name': String(taskId) },
      body: `{"jsonrpc":"2.0","id":2,"method":"tasks/get","params":{"taskId":"${taskId}",${META}}}`,
    });

  async function approved(env: Environment, alice: ReviewerClient, body: string): Promise<unknown> {
    const created = await messageOf(
      await env.call('/raw?tenant=a%20b', {
        method: 'POST',
        headers: { ...headers, 'idempotency-key': `k${body.length}` },
        body,
      }),
    );
    const taskId = created.result?.taskId;
    await alice.approve(String(taskId).replace('countersign.', ''));
    return taskId;
  }

  it('goes out byte for byte as it was approved, to the same place, with the fields that the approval bound', async ({
    env,
    alice,
  }) => {
    env.upstream.respond((_request, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"jsonrpc":"2.0","id":"\u00fc","result":{"content":[]}}'),
    );
    const body = `{ "jsonrpc" : "2.0", "id":"\u00fc","method":"tools/call",\n "params":{"arguments":{"b":1e2,"a":"Zürich 世界 \\u0041"},"name":"tool",${META}} }`;
    const taskId = await approved(env, alice, body);
    const before = env.upstream.requests.length;
    expect((await messageOf(await poll(env, taskId))).result).toMatchObject({ status: 'working' });
    await expect
      .poll(async () => (await messageOf(await poll(env, taskId))).result?.status, { timeout: 10_000 })
      .toBe('completed');
    const sent = env.upstream.requests.slice(before);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({
      url: '/mcp?tenant=a%20b',
      body,
      headers: { 'mcp-method': 'tools/call', 'mcp-name': 'tool', 'idempotency-key': `k${body.length}` },
    });
  });

  it('ends its task as failed when the upstream breaks off, and is not sent again', async ({ env, alice }) => {
    env.upstream.respond((_request, response) => response.destroy());
    const taskId = await approved(
      env,
      alice,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool","arguments":{"n":2},${META}}}`,
    );
    const before = env.upstream.requests.length;
    await poll(env, taskId);
    await expect
      .poll(async () => (await messageOf(await poll(env, taskId))).result?.status, { timeout: 10_000 })
      .toBe('failed');
    const { result } = await messageOf(await poll(env, taskId));
    expect(result?.error).toMatchObject({ data: { code: expect.stringMatching(/^upstream_/) } });
    expect(JSON.stringify(result?.error)).not.toMatch(/nothing was executed/i);
    expect(env.upstream.requests).toHaveLength(before + 1);
  });
});

describe('an upgrade of a mount of MCP', () => {
  it('is refused, and its agent is told that nothing was executed', async ({ env }) => {
    const authorization = `Bearer ${await env.token('agent-1')}`;
    const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}/tools`, { headers: { authorization } });
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    const { code, detail } = JSON.parse(Buffer.concat(await response.toArray()).toString());
    expect([response.statusCode, code]).toEqual([426, 'upgrade_refused']);
    expect(detail).toContain('This upstream takes no upgrades. Nothing was executed.');
  });
});
