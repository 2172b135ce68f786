// Tiers that bind their approvals to the session of the call. Kinds: an approval that another session of the same agent
// uses, a call without a session that counts as any, a session that has ended and whose approvals have not, a new session
// as a way around a denial.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { startStrictServer } from '../support/strict-mcp-server.ts';
import { answered, becomes } from './held.ts';

const serial = countFrom(0);
const TIERS = {
  bound: { reviewers: ['group:finance'], bindSession: true },
  free: { reviewers: ['group:finance'] },
};

const it = gatewayTest
  .extend('server', file, ({ closes }) => closes(startStrictServer('a'), (server) => server.kill()))
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('sockets', file, async ({ closes }) => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(sockets, 'listening');
    return closes(sockets);
  })
  .extend('env', file, ({ server, bank, modernBank, sockets, environment }) =>
    environment({
      testIssuer: { sessionClaim: 'session_id' },
      tiers: TIERS,
      upstreams: {
        solo: { url: server.url, protocol: 'mcp' },
        both: { protocol: 'mcp', servers: { a: { url: server.url } } },
        tools: { url: bank.url, protocol: 'mcp' },
        modern: { url: modernBank.url, protocol: 'mcp' },
        live: { url: `http://127.0.0.1:${(sockets.address() as AddressInfo).port}`, websocket: true },
      },
      rules: [
        rule.hold('http', { upstream: 'api', methods: ['POST'], path: '/bound' }, { tier: 'bound' }),
        rule.hold('http-free', { upstream: 'api', methods: ['POST'], path: '/free' }, { tier: 'free' }),
        rule.hold('solo', { upstream: 'solo', tool: 'pay' }, { tier: 'bound' }),
        rule.hold('tools', { upstream: 'tools', tool: 'transfer_funds' }, { tier: 'bound' }),
        rule.hold('modern', { upstream: 'modern', tool: 'transfer_funds' }, { tier: 'bound' }),
        rule.hold('live', { upstream: 'live', upgrade: true }, { tier: 'bound', wholeSession: true }),
        rule.hold('both', { upstream: 'both', tool: 'a__pay' }, { tier: 'bound' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

describe('a call over HTTP, in the session of its token', () => {
  const send = (env: Environment, body: unknown, session?: string, more: Record<string, string> = {}, path = 'bound') =>
    answered(
      env.call(`/api/${path}`, {
        method: 'POST',
        body,
        headers: more,
        ...(session !== undefined && { claims: { session_id: session } }),
      }),
    );

  it('is refused without one, and no hold is opened', async ({ env }) => {
    for (const headers of [{}, { 'mcp-session-id': 'mine' }])
      expect(await send(env, { n: serial() }, undefined, headers)).toMatchObject({
        status: 403,
        code: 'session_required',
        hold: '',
      });
    for (const session_id of ['', 7, ['s'], null])
      expect(
        await answered(env.call('/api/bound', { method: 'POST', body: { n: serial() }, claims: { session_id } })),
      ).toMatchObject({ status: 403, code: 'session_required' });
    // The claim is the configured one.
    expect(
      await answered(env.call('/api/bound', { method: 'POST', body: { n: serial() }, claims: { sid: 's1' } })),
    ).toMatchObject({ status: 403, code: 'session_required' });
  });

  it('uses the approval in its session, and in no other', async ({ env, alice }) => {
    const body = { n: serial() };
    const { hold } = await send(env, body, 's1');
    await alice.approve(hold);
    const other = await send(env, body, 's2');
    expect([other.code, other.hold === hold]).toEqual(['approval_pending', false]);
    expect(await send(env, body)).toMatchObject({ status: 403, code: 'session_required' });
    expect((await alice.show(hold)).state).toBe('APPROVED');
    expect(await send(env, body, 's1')).toMatchObject({ status: 200, hold });
  });

  it('has nothing of a hold with its Idempotency-Key from another session', async ({ env, alice }) => {
    const body = { n: serial() };
    const key = { 'idempotency-key': `k${serial()}` };
    const { hold } = await send(env, body, 's1', key);
    expect(await send(env, body, 's2', key)).toMatchObject({ status: 403, code: 'session_required', hold });
    await alice.approve(hold);
    expect(await send(env, body, 's2', key)).toMatchObject({ status: 403, code: 'session_required', hold });
    expect(await send(env, body, 's1', key)).toMatchObject({ status: 200, hold });
    // What was sent is told in every session: the key stands for one sending.
    expect(await send(env, body, 's2', key)).toMatchObject({ status: 409, code: 'already_sent', hold });
  });

  it('does not get around a denial by another session', async ({ env, alice }) => {
    const body = { n: serial() };
    const { hold } = await send(env, body, 's1');
    await alice.deny(hold);
    for (const session of ['s1', 's2']) expect((await send(env, body, session)).code).toBe('approval_denied');
  });

  it('keeps its session over a restart', async ({ env, alice }) => {
    const body = { n: serial() };
    const { hold } = await send(env, body, 's1');
    await env.kill();
    await env.start();
    await alice.approve(hold);
    expect((await send(env, body, 's2')).hold).not.toBe(hold);
    expect(await send(env, body, 's1')).toMatchObject({ status: 200, hold });
  });

  it('is of any session where the tier does not bind it', async ({ env, alice }) => {
    const body = { n: serial() };
    const { hold } = await send(env, body, 's1', {}, 'free');
    await alice.approve(hold);
    expect(await send(env, body, 's2', {}, 'free')).toMatchObject({ status: 200, hold });
  });

  it('is used by one of many that come at once from both sessions', async ({ env, alice }) => {
    const body = { n: serial() };
    const { hold } = await send(env, body, 's1');
    await alice.approve(hold);
    const before = env.upstream.requests.length;
    const answers = await Promise.all(['s1', 's2', 's1', 's2', 's1'].map((session) => send(env, body, session)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers[1]?.status === 200 || answers[3]?.status === 200).toBe(false);
    expect(env.upstream.requests.length).toBe(before + 1);
  });

  it('shows that it is bound, and not to which session', async ({ env, alice }) => {
    const { hold } = await send(env, { n: serial() }, 'secret-session');
    const shown = await alice.show(hold);
    expect(shown).toMatchObject({ requirements: [{ bindSession: true }], session: { by: 'token' } });
    expect(JSON.stringify(shown)).not.toContain('secret-session');
  });
});

describe('a WebSocket', () => {
  const dial = async (env: Environment, session?: string): Promise<string> => {
    const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}/live/feed`, {
      headers: { authorization: `Bearer ${await env.token('agent-1', session ? { session_id: session } : {})}` },
    });
    socket.on('error', () => {});
    const found = await Promise.race([
      once(socket, 'open').then(() => 'open'),
      once(socket, 'unexpected-response').then(async ([, response]) => {
        response.resume();
        return String(response.headers['countersign-hold'] ?? response.statusCode);
      }),
    ]);
    socket.terminate();
    return found;
  };

  it('is opened in the session that asked for it, and in no other', async ({ env, alice }) => {
    expect(await dial(env)).toBe('403');
    const hold = await dial(env, 's1');
    await alice.approve(hold);
    expect(await dial(env, 's2')).not.toBe(hold);
    expect((await alice.show(hold)).state).toBe('APPROVED');
    expect(await dial(env, 's1')).toBe('open');
  });
});

describe('a call of the revision without sessions', () => {
  const META = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const pay = async (
    env: Environment,
    amount: number,
    { session, header, state }: { session?: string | undefined; header?: string; state?: string } = {},
  ) => {
    const response = await env.call('/modern', {
      method: 'POST',
      body: {
        jsonrpc: '2.0',
        id: serial(),
        method: 'tools/call',
        params: {
          name: 'transfer_funds',
          arguments: { amount },
          _meta: META,
          ...(state !== undefined && { requestState: state }),
        },
      },
      headers: {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        ...(header !== undefined && { 'mcp-session-id': header }),
      },
      claims: session === undefined ? {} : { session_id: session },
    });
    const text = await response.text();
    return { text, state: /"requestState":"([^"]+)"/.exec(text)?.[1], hold: /hold_[\w-]{22}/.exec(text)?.[0] ?? '' };
  };

  it('belongs to the session of its token, whatever session a field names', async ({ env, modernBank, alice }) => {
    const amount = serial();
    expect((await pay(env, amount, { header: 's1' })).text).toContain('session_required');
    const { state } = await pay(env, amount, { session: 's1' });
    const [hold] = (await alice.list()).filter(
      ({ session, action }) =>
        JSON.stringify(session) === '{"by":"token"}' && (action as { upstream: string }).upstream === 'modern',
    );
    const id = hold?.id ?? '';
    await alice.approve(id);
    const ran = () => modernBank.ran.filter(({ args }) => args.amount === amount).length;
    // Another session brings the state back, and another pretends by a field.
    await pay(env, amount, { session: 's2', ...(state !== undefined && { state }) });
    await pay(env, amount, { session: 's2', header: 's1' });
    expect((await pay(env, amount, { header: 's1' })).text).toContain('session_required');
    expect((await alice.show(id)).state).toBe('APPROVED');
    expect(ran()).toBe(0);
    await pay(env, amount, { session: 's1' });
    await becomes(alice, id, 'EXECUTED');
    expect(ran()).toBe(1);
  });
});

describe('a held call that became a task', () => {
  const post = async (env: Environment, message: object, session?: string, claims = {}) => {
    const response = await env.call('/tools', {
      method: 'POST',
      body: { jsonrpc: '2.0', ...message },
      headers: {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        ...(session !== undefined && { 'mcp-session-id': session }),
      },
      claims,
    });
    return { text: await response.text(), session: response.headers.get('mcp-session-id') ?? '' };
  };
  const open = async (env: Environment) => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    return (await post(env, { id: 0, method: 'initialize', params })).session;
  };

  it.for(['tasks/get', 'tasks/result'])(
    'is not sent by %s from another session, or from none',
    async (method, { env, bank, alice }) => {
      const [mine, other] = [await open(env), await open(env)];
      const amount = serial();
      const params = { name: 'transfer_funds', arguments: { amount }, task: {} };
      const created = (await post(env, { id: 1, method: 'tools/call', params }, mine)).text;
      const taskId = /"taskId":"([^"]+)"/.exec(created)?.[1] ?? '';
      const hold = taskId.replace('countersign.', '');
      await alice.approve(hold);
      const ran = () => bank.ran.filter(({ args }) => args.amount === amount).length;
      for (const [session, claims] of [[other], [other, { session_id: mine }], [undefined]] as const) {
        const { text } = await post(env, { id: 2, method, params: { taskId } }, session, claims);
        expect(text).toContain('session_required');
      }
      expect((await alice.show(hold)).state).toBe('APPROVED');
      expect(ran()).toBe(0);
      await post(env, { id: 3, method, params: { taskId } }, mine);
      await becomes(alice, hold, 'EXECUTED');
      expect(ran()).toBe(1);
    },
  );
});

describe.each([
  ['a single mount', 'solo', 'pay'],
  ['a shared mount', 'both', 'a__pay'],
])('a call over MCP, on %s', (_what, mount, tool) => {
  const post = (env: Environment, message: object, fields: Record<string, string> = {}, claims = {}) =>
    env.call(`/${mount}`, {
      method: 'POST',
      body: { jsonrpc: '2.0', ...message },
      headers: { accept: 'application/json, text/event-stream', ...fields },
      claims,
    });
  async function open(env: Environment): Promise<string> {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const response = await post(env, { id: 0, method: 'initialize', params });
    await response.text();
    return response.headers.get('mcp-session-id') ?? '';
  }
  async function pay(env: Environment, args: object, session: string | undefined, claims = {}) {
    const fields = {
      'mcp-protocol-version': '2025-11-25',
      ...(session !== undefined && { 'mcp-session-id': session }),
    };
    const response = await post(
      env,
      { id: serial(), method: 'tools/call', params: { name: tool, arguments: args } },
      fields,
      claims,
    );
    const { result } = (await response.json()) as { result?: { _meta?: Record<string, unknown>; isError?: boolean } };
    return {
      code: result?._meta?.['countersign/code'],
      hold: String(result?._meta?.['countersign/hold']),
      isError: result?.isError === true,
    };
  }
  const end = (env: Environment, session: string) =>
    env.call(`/${mount}`, { method: 'DELETE', headers: { 'mcp-session-id': session } }).then((one) => one.text());
  const heldIn = async (env: Environment, alice: ReviewerClient, session: string) => {
    const args = { amount: serial() };
    const { hold } = await pay(env, args, session);
    expect((await alice.show(hold)).session).toEqual({ by: 'mcp' });
    return { args, hold };
  };

  it('uses the approval in its MCP session alone, whatever its token says', async ({ env, alice }) => {
    const [mine, other] = [await open(env), await open(env)];
    const { args, hold } = await heldIn(env, alice, mine);
    await alice.approve(hold);
    const theirs = await pay(env, args, other, { session_id: mine });
    expect([theirs.code, theirs.hold === hold]).toEqual(['approval_pending', false]);
    expect((await alice.show(hold)).state).toBe('APPROVED');
    expect(await pay(env, args, mine)).toMatchObject({ isError: false });
    expect((await alice.show(hold)).state).toBe('EXECUTED');
  });

  it('loses its holds with its session, also those that nobody waits for', async ({ env, alice }) => {
    const [mine, other] = [await open(env), await open(env)];
    const pending = await heldIn(env, alice, mine);
    const approved = await heldIn(env, alice, mine);
    const kept = await heldIn(env, alice, other);
    await alice.approve(approved.hold);
    await end(env, mine);
    for (const { hold } of [pending, approved]) await becomes(alice, hold, 'CANCELLED');
    expect((await alice.show(kept.hold)).state).toBe('PENDING');
  });
});
