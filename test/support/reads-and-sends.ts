// Agents that read what is confidential and then send something: over plain HTTP, and by the official MCP clients of
// both protocol families. Whether something was sent is what the upstream says that it received, not what the answer
// says. Every test takes agents of its own, so that no test meets the marks of another one.

import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { GivenConfig, Rules, Upstream } from './config.ts';
import { rule } from './config.ts';
import { countFrom } from './count.ts';
import type { CallOptions, Environment } from './environment.ts';
import { file, gatewayTest } from './gateway-test.ts';
import { connectV1, connectV2 } from './mcp-clients.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from './mcp-upstream.ts';
import { bankMounts } from './two-banks.ts';

/** Who calls: the subject of a token, its further claims, and the task that the calls name. */
export interface Agent {
  readonly as: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly task?: string;
  /** Further fields of each call. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An agent that no other test has. */
export const newAgent = (name = 'agent'): Agent => ({ as: `${name}-${randomUUID()}` });

/** This agent, called by the token of somebody it acts for (RFC 8693 `act`). */
export const actingFor = (person: string, { as }: Agent): Agent => ({ as: person, claims: { act: { sub: as } } });

const amount = countFrom(1);

/** One way for an agent to read a customer’s data, to do something harmless, and to send. */
export interface Way {
  /** Reads what is confidential; fails unless it was read. */
  read(agent: Agent): Promise<void>;
  /** As often as said: something that matters to no rule. */
  lookAround(agent: Agent, times: number): Promise<void>;
  /** `sent`, or the code of the refusal. */
  send(agent: Agent): Promise<string>;
}

export interface World {
  readonly env: Environment;
  readonly bank: McpUpstream;
  readonly modernBank: McpUpstream;
}

const callOf = ({ as, claims, task, headers }: Agent): CallOptions => ({
  as,
  ...(claims && { claims }),
  headers: { prefer: 'wait=0', ...(task !== undefined && { 'countersign-task': task }), ...headers },
});

/** What an answer of plain HTTP says: `sent`, or the code of the refusal. */
export async function outcomeOf(pending: Promise<Response>): Promise<string> {
  const response = await pending;
  const text = await response.text();
  return response.ok ? 'sent' : (JSON.parse(text) as { code: string }).code;
}

/** A POST to the recording upstream. Its body gets a mark of its own, by which it is found upstream. */
export async function post(env: Environment, path: string, agent: Agent, body: object): Promise<string> {
  const mark = randomUUID();
  const outcome = await outcomeOf(env.call(path, { ...callOf(agent), method: 'POST', body: { ...body, mark } }));
  const arrived = env.upstream.requests.some((request) => request.body.includes(mark));
  expect([outcome, arrived]).toEqual([outcome, outcome === 'sent']);
  return outcome;
}

export async function get(env: Environment, path: string, agent: Agent): Promise<string> {
  return outcomeOf(env.call(path, callOf(agent)));
}

/** Opens a task of this agent. */
export async function openTask(env: Environment, agent: Agent, more: object = {}): Promise<Agent> {
  const body = { objective: 'answer a customer', plan: [], labels: [], ...more };
  const response = await env.call('/countersign/v1/tasks', { ...callOf(agent), method: 'POST', body });
  expect(response.status).toBe(201);
  return { ...agent, task: ((await response.json()) as { id: string }).id };
}

export interface ToolResult {
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

interface ToolClient {
  callTool(call: { readonly name: string; readonly arguments: Record<string, unknown> }): Promise<unknown>;
}

type Connect = (agent: Agent) => Promise<ToolClient>;

function overMcp(connect: Connect, bank: McpUpstream): Way {
  const call = async (client: ToolClient, name: string, args: Record<string, unknown> = {}): Promise<string> => {
    const { isError, _meta } = (await client.callTool({ name, arguments: args })) as ToolResult;
    return isError === true ? String(_meta?.['countersign/code']) : 'sent';
  };
  return {
    async read(agent) {
      expect(await call(await connect(agent), 'read_balance')).toBe('sent');
    },
    async lookAround(agent, times) {
      const client = await connect(agent);
      for (let n = 0; n < times; n++) expect(await call(client, 'route_job', { region: 'eu', size: 1 })).toBe('sent');
    },
    async send(agent) {
      const args = { amount: amount() };
      const outcome = await call(await connect(agent), 'transfer_funds', args);
      const ran = bank.ran.some((one) => one.args.amount === args.amount);
      expect([outcome, ran]).toEqual([outcome, outcome === 'sent']);
      return outcome;
    },
  };
}

const overHttp = (env: Environment): Way => ({
  async read(agent) {
    expect(await get(env, '/api/customers/1', agent)).toBe('sent');
  },
  async lookAround(agent, times) {
    for (let n = 0; n < times; n++) expect(await get(env, `/api/pages/${n}`, agent)).toBe('sent');
  },
  send: (agent) => post(env, '/api/send', agent, { to: 'somebody@else.example' }),
});

export const WAYS = ['plain HTTP', 'MCP SDK v1', 'MCP SDK v2'] as const;

export function wayOf(name: (typeof WAYS)[number], { env, bank, modernBank }: World): Way {
  if (name === 'plain HTTP') return overHttp(env);
  const withTask = ({ as, claims, task, headers }: Agent) => ({
    ...{ as, claims },
    headers: { ...(task !== undefined && { 'countersign-task': task }), ...headers },
  });
  return name === 'MCP SDK v1'
    ? overMcp(async (agent) => (await connectV1(env, 'tools', withTask(agent))).client, bank)
    : overMcp((agent) => connectV2(env, 'modern', withTask(agent)), modernBank);
}

/** What reading marks, as the configuration says it. */
export const MARKING = {
  taints: { 'customer-data': { for: '24h' } },
  resources: [
    { id: 'customers', match: { upstream: 'api', path: '/customers/*' }, taints: ['customer-data'] },
    { id: 'balances', match: { tool: 'read_balance' }, taints: ['customer-data'] },
  ],
};

/** Everything is allowed, but nothing is sent by somebody for whom this condition is true. */
export const sendsUnless = (condition: string): Rules => [
  rule.allow('http', { upstream: 'api' }),
  rule.hold('leak', { upstream: 'api', path: '/send' }, { when: condition }),
  ...['tools', 'modern'].flatMap((upstream) => [
    rule.allow(upstream, { upstream, tool: '*' }),
    rule.deny(`leak-by-${upstream}`, { upstream, tool: 'transfer_funds' }, { when: condition }),
  ]),
];

/** What the rules of `sendsUnless` answer to a call that they stop. */
export const STOPPED = /^(approval_pending|denied)$/;

/** A configuration that is put together by spreading, which TypeScript would take for a wider type. */
export const written = (config: object): GivenConfig => config as GivenConfig;

/** The test function over a gateway of this configuration before a recording upstream and two banks. */
export function worldTest(given: object | ((started: { folder: string; issuer: string; origin: string }) => object)) {
  return gatewayTest
    .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
    .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
    .extend('env', file, ({ bank, modernBank, environment }) =>
      environment((started) => {
        const { upstreams, ...rest } = (typeof given === 'function' ? given(started) : given) as GivenConfig;
        const { tools, modern, ...others } = upstreams ?? {};
        const mounts = bankMounts(bank, modernBank, tools);
        return {
          limits: { wait: '0s', pendingPerAgent: 1000 },
          ...rest,
          upstreams: { ...mounts, modern: { ...mounts.modern, ...modern } as Upstream, ...others },
        };
      }),
    )
    .extend('world', file, ({ env, bank, modernBank }) => ({ env, bank, modernBank }));
}
