// One gateway before a bank of the 2025 revisions (mount `tools`) and one of 2026-07-28 (mount `modern`), with what
// tests of held calls as tasks do again and again: connect a client, hold a payment as a task, send a message of the
// modern protocol by hand. Every payment has an amount of its own, by which a test counts what its bank ran.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { expect } from 'vitest';
import { rule } from './config.ts';
import { type CallOptions, type Environment, startEnvironment } from './environment.ts';
import { file, gatewayTest } from './gateway-test.ts';
import { connectV1 } from './mcp-clients.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from './mcp-upstream.ts';
import type { ReviewerClient } from './reviewer-client.ts';
import { bankMounts } from './two-banks.ts';

export interface Answer {
  readonly result?: Record<string, unknown> & {
    readonly result?: Record<string, unknown>;
    readonly task?: Record<string, unknown>;
  };
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

export interface TaskGateway {
  readonly env: Environment;
  readonly bank: McpUpstream;
  readonly modernBank: McpUpstream;
  readonly alice: ReviewerClient;
  /** An SDK v1 client at `tools`, until `closeClients`. */
  connect(subject?: string): Promise<Client>;
  /** The task of a held call, and its hold. */
  hold(client: Client, call?: ToolCall): Promise<{ taskId: string; id: string }>;
  /** A request to `modern`, declaring the tasks extension unless `meta` says otherwise. */
  modern(method: string, params: Record<string, unknown>, options?: CallOptions & { meta?: object }): Promise<Answer>;
  untilStatus(taskId: string, status: string): Promise<Answer>;
  closeClients(): Promise<void>;
  close(): Promise<void>;
}

let amount = 0;
export const nextAmount = () => ++amount;
export const lastAmount = () => amount;

/** Arguments of its own per test, so that no test meets another's hold. */
export const payment = () => ({ name: 'transfer_funds', arguments: { amount: nextAmount() } });
export const ranWith = (upstream: McpUpstream, value: number) =>
  upstream.ran.filter(({ args }) => args.amount === value);

const VERSION = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
const EXTENSION = {
  'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
};

export async function openTaskGateway(): Promise<TaskGateway> {
  const clients: Client[] = [];
  let rpcId = 0;
  const [bank, modernBank] = await Promise.all([startMcpUpstream(), startStatelessUpstream()]);
  const env = await startEnvironment({
    upstreams: bankMounts(bank, modernBank),
    tiers: {
      payment: { reviewers: ['group:finance'], count: 1, decideWithin: '5m', useWithin: '2m' },
      hurried: { reviewers: ['group:finance'], count: 1, decideWithin: '2s', useWithin: '1s' },
    },
    rules: [
      rule.hold('pay', { tool: 'transfer_funds' }),
      rule.allow('job', { tool: 'slow_job' }),
      rule.hold('large-job', { tool: 'slow_job' }, { when: 'args.size > 10' }),
      rule.hold('ask', { tool: 'ask_user' }),
      rule.hold('secret', { tool: 'secret_tool' }),
      rule.allow('elicit', { mcp: ['elicitation/create'] }),
      rule.hold('hurried', { tool: 'route_job' }, { tier: 'hurried' }),
      rule.allow('read', { tool: 'read_balance' }),
    ],
    limits: { wait: '2s', pendingPerAgent: 100 },
  });
  const alice = await env.reviewer('alice');

  async function connect(subject = 'agent-1'): Promise<Client> {
    const client = new Client({ name: 'test', version: '1' });
    const requestInit = { headers: { authorization: `Bearer ${await env.token(subject)}` } };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${env.ports.agents}/tools`), {
        requestInit,
      }) as never,
    );
    clients.push(client);
    return client;
  }

  async function hold(client: Client, call: ToolCall = payment()): Promise<{ taskId: string; id: string }> {
    const stream = client.experimental.tasks.callToolStream(call, CallToolResultSchema, { task: {} });
    const { value } = await stream.next();
    expect(value).toMatchObject({ type: 'taskCreated', task: { status: 'working' } });
    const { taskId } = (value as { task: { taskId: string } }).task;
    return { taskId, id: taskId.replace('countersign.', '') };
  }

  async function modern(
    method: string,
    params: Record<string, unknown>,
    { meta = EXTENSION as object, ...more }: CallOptions & { meta?: object } = {},
  ): Promise<Answer> {
    const response = await env.call('/modern', {
      method: 'POST',
      ...more,
      headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', ...more.headers },
      body: { jsonrpc: '2.0', id: ++rpcId, method, params: { ...params, _meta: { ...VERSION, ...meta } } },
    });
    return (await response.json()) as Answer;
  }

  async function untilStatus(taskId: string, status: string): Promise<Answer> {
    await expect
      .poll(async () => (await modern('tasks/get', { taskId })).result?.status, { timeout: 15_000 })
      .toBe(status);
    return modern('tasks/get', { taskId });
  }

  return {
    ...{ env, bank, modernBank, alice, connect, hold, modern, untilStatus },
    async closeClients() {
      for (const client of clients.splice(0)) await client.close().catch(() => {});
    },
    async close() {
      await env.close();
      await Promise.all([bank.close(), modernBank.close()]);
    },
  };
}

/** The test function over such a gateway, with a fixture for each of its parts; its clients are closed after each test. */
export const taskGatewayTest = gatewayTest
  .extend('gateway', file, ({ closes }) => closes(openTaskGateway()))
  .extend('env', file, ({ gateway }) => gateway.env)
  .extend('bank', file, ({ gateway }) => gateway.bank)
  .extend('modernBank', file, ({ gateway }) => gateway.modernBank)
  .extend('alice', file, ({ gateway }) => gateway.alice)
  .extend('connect', file, ({ gateway }) => gateway.connect)
  .extend('hold', file, ({ gateway }) => gateway.hold)
  .extend('modern', file, ({ gateway }) => gateway.modern)
  .extend('untilStatus', file, ({ gateway }) => gateway.untilStatus);

/** A gateway over one bank whose slow jobs a rule allows, with an SDK v1 client. The test closes it. */
export async function openSlowJobs() {
  const bank = await startMcpUpstream();
  const env = await startEnvironment({
    upstreams: { tools: { url: bank.url, protocol: 'mcp' } },
    rules: [rule.allow('job', { tool: 'slow_job' })],
  });
  const { client } = await connectV1(env, 'tools');
  return { bank, env, client };
}
