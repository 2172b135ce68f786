// What the gateway promises to MCP clients of every protocol revision, in one table: what they may see, what they may
// call, and how a held call is told, approved once and denied. By hand, so that each revision says what it has to say
// and no client library smooths it over; the official clients are in mcp-holds.test.ts.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { twoBanksTest } from '../support/two-banks.ts';

const WITH_SESSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const REVISIONS = [...WITH_SESSIONS, '2026-07-28'];

interface Message {
  readonly result?: Readonly<Record<string, unknown>> & { readonly _meta?: Readonly<Record<string, unknown>> };
  readonly error?: { readonly message: string };
}

interface Agent {
  readonly headers: Readonly<Record<string, string>>;
  post(body: unknown): Promise<Response>;
  /** Sends a request and gives the one message of its answer. */
  ask(method: string, params?: object): Promise<Message>;
}

const it = twoBanksTest({
  rules: [
    rule.allow('read', { tool: 'read_balance' }),
    rule.hold('pay', { tool: 'transfer_funds' }),
    rule.deny('route', { tool: 'route_job' }),
  ],
  limits: { wait: '0s', pendingPerAgent: 100 },
});

const nextId = countFrom(1);
const amount = countFrom(1);

/** A client of this revision: with a session at `tools`, and without one at `modern`. */
async function agentOf(env: Environment, revision: string): Promise<Agent> {
  const isModern = !WITH_SESSIONS.includes(revision);
  const mount = isModern ? '/modern' : '/tools';
  const accept = 'application/json, text/event-stream';
  const session = isModern ? {} : await openSession(env, revision);
  const headers = { accept, 'mcp-protocol-version': revision, ...session };
  const meta = isModern ? { _meta: { 'io.modelcontextprotocol/protocolVersion': revision } } : {};
  const post = (body: unknown) => env.call(mount, { method: 'POST', headers, body });
  return {
    headers,
    post,
    ask: async (method, params = {}) =>
      messageOf(await post({ jsonrpc: '2.0', id: nextId(), method, params: { ...params, ...meta } })),
  };
}

async function openSession(env: Environment, protocolVersion: string): Promise<Readonly<Record<string, string>>> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await env.call('/tools', {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream' },
    body: { jsonrpc: '2.0', id: nextId(), method: 'initialize', params },
  });
  const session = opened.headers.get('mcp-session-id') ?? '';
  expect((await messageOf(opened)).result).toMatchObject({ protocolVersion });
  return { 'mcp-session-id': session };
}

/** The one message of an answer, whether JSON or an event stream. */
async function messageOf(response: Response): Promise<Message> {
  const text = await response.text();
  return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as Message;
}

/** Arguments of its own per test, so that no test meets another's hold. */
const payment = () => ({ name: 'transfer_funds', arguments: { amount: amount() } });

/** Asks for a held call, and gives its hold and how the same client comes back for it. */
async function hold(agent: Agent, call: ReturnType<typeof payment>) {
  const { result } = await agent.ask('tools/call', call);
  if (agent.headers['mcp-protocol-version'] === '2026-07-28')
    expect(result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) });
  else
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('Nothing was executed') }],
      _meta: { 'countersign/code': 'approval_pending' },
    });
  const { requestState } = result as { requestState?: string };
  return () => agent.ask('tools/call', requestState === undefined ? call : { ...call, requestState });
}

describe.each(REVISIONS)('a client of revision %s', (revision) => {
  const bankOf = <Bank>(banks: { readonly bank: Bank; readonly modernBank: Bank }): Bank =>
    WITH_SESSIONS.includes(revision) ? banks.bank : banks.modernBank;

  it('sees the tools that a rule could let it call', async ({ env }) => {
    const { result } = await (await agentOf(env, revision)).ask('tools/list');
    const { tools } = result as unknown as { tools: readonly { name: string }[] };
    expect(tools.map(({ name }) => name)).toEqual(['transfer_funds', 'read_balance']);
  });

  it('gets the result of a call that a rule allows', async ({ env }) => {
    const agent = await agentOf(env, revision);
    expect((await agent.ask('tools/call', { name: 'read_balance', arguments: {} })).result).toMatchObject({
      content: [{ text: 'done read_balance' }],
    });
  });

  it.for([
    ['route_job', 'denied'],
    ['ask_user', 'no_matching_rule'],
  ] as const)('is told as a tool result that it may not call %s', async ([name, code], { env, bank, modernBank }) => {
    const agent = await agentOf(env, revision);
    expect((await agent.ask('tools/call', { name, arguments: {} })).result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('Nothing was executed') }],
      _meta: { 'countersign/code': code },
    });
    expect(bankOf({ bank, modernBank }).ran.filter((ran) => ran.name === name)).toEqual([]);
  });

  it('gets a held call through once when people have approved it, and never with other arguments', async ({
    env,
    bank,
    modernBank,
    alice,
  }) => {
    const agent = await agentOf(env, revision);
    const call = payment();
    const { hold: pending } = await alice.expect('PENDING');
    const comeBack = await hold(agent, call);
    const id = await pending;
    await alice.approve(id);
    const other = payment();
    await hold(agent, other);
    const { ran } = bankOf({ bank, modernBank });
    const ranWith = (value: number) => ran.filter(({ args }) => args.amount === value).length;
    expect([ranWith(call.arguments.amount), ranWith(other.arguments.amount)]).toEqual([0, 0]);
    expect((await comeBack()).result).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect([ranWith(call.arguments.amount), ranWith(other.arguments.amount)]).toEqual([1, 0]);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('is told of a denial as a tool result', async ({ env, bank, modernBank, alice }) => {
    const call = payment();
    const { hold: pending } = await alice.expect('PENDING');
    const comeBack = await hold(await agentOf(env, revision), call);
    await alice.deny(await pending);
    expect((await comeBack()).result).toMatchObject({
      isError: true,
      _meta: { 'countersign/code': 'approval_denied' },
    });
    const { ran } = bankOf({ bank, modernBank });
    expect(ran.filter(({ args }) => args.amount === call.arguments.amount)).toEqual([]);
  });
});

describe.each(WITH_SESSIONS)('a session of revision %s', (revision) => {
  it('is opened, used and ended through the gateway', async ({ env }) => {
    const agent = await agentOf(env, revision);
    expect((await agent.post({ jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202);
    expect((await agent.ask('tools/call', { name: 'read_balance', arguments: {} })).result).toMatchObject({
      content: [{ text: 'done read_balance' }],
    });
    expect((await env.call('/tools', { method: 'DELETE', headers: agent.headers })).status).toBe(200);
    const late = {
      jsonrpc: '2.0',
      id: nextId(),
      method: 'tools/call',
      params: { name: 'read_balance', arguments: {} },
    };
    expect((await agent.post(late)).status).toBe(404);
  });
});
