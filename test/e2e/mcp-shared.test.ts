// One mount for several MCP servers, as real clients use it: the TypeScript SDK v1 and v2 with their default configuration, over servers that
// know nothing of each other. Two of them offer the same tools: whose is called is what counts.

import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

interface Result {
  readonly content: readonly { readonly text: string }[];
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

let env: Environment;
let north: McpUpstream;
let south: McpUpstream;
let modernNorth: McpUpstream;
let modernSouth: McpUpstream;
let alice: ReviewerClient;
let amount = 0;
const clients: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [north, south, modernNorth, modernSouth] = await Promise.all([startMcpUpstream(), startMcpUpstream(), startStatelessUpstream(), startStatelessUpstream()]);
  env = await startEnvironment({
    upstreams: `
  banks:
    protocol: mcp
    serversWithin: 2s
    servers:
      north: { url: "${north.url}", credential: key }
      south: { url: "${south.url}" }
      gone: { url: "http://127.0.0.1:9/mcp" }
  modern:
    protocol: mcp
    serversWithin: 2s
    servers: { north: { url: "${modernNorth.url}" }, south: { url: "${modernSouth.url}" } }`,
    rules: `
  - { id: pay, match: { upstream: banks, tool: "north__transfer_funds" }, decide: hold, tier: payment }
  - { id: pay-south, match: { upstream: banks, server: south, tool: "*__transfer_funds" }, decide: hold, tier: payment }
  - { id: read, match: { upstream: banks, tool: "*__read_balance" }, decide: allow }
  - { id: ask, match: { upstream: banks, server: north, tool: "*__ask_user" }, decide: allow }
  - { id: asks, match: { upstream: banks, mcp: [elicitation/create] }, decide: allow }
  - { id: modern, match: { upstream: modern, tool: "north__*" }, decide: allow }
  - { id: modern-ask, match: { upstream: modern, mcp: [elicitation/create] }, decide: allow }
  - { id: modern-pay, match: { upstream: modern, tool: transfer_funds }, decide: hold, tier: payment }
`,
    limits: '{ wait: 1s, pendingPerAgent: 100 }',
  });
  alice = await env.reviewer('alice');
});
afterAll(async () => {
  await env.close();
  await Promise.all([north, south, modernNorth, modernSouth].map((server) => server.close()));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

async function transportOptions(subject = 'agent-1') {
  return { requestInit: { headers: { authorization: `Bearer ${await env.token(subject)}` } } };
}
const url = (mount: string) => new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`);

async function connect(subject?: string, client = new Client({ name: 'test', version: '1' })) {
  const transport = new StreamableHTTPClientTransport(url('banks'), await transportOptions(subject));
  await client.connect(transport as never);
  clients.push(client);
  return { client, transport };
}

async function connectModern(mount = 'modern') {
  const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernTransport(url(mount), await transportOptions()));
  clients.push(client);
  return client;
}

const names = (list: { tools: readonly { name: string }[] }) => list.tools.map(({ name }) => name);
const payment = (server: string) => ({ name: `${server}__transfer_funds`, arguments: { amount: ++amount } });
const ranWith = (server: McpUpstream, value: unknown) => server.ran.filter(({ args }) => args.amount === value);

describe('an SDK v1 client', () => {
  it('sees the tools of all servers that it may call, each under its server, and which server is missing', async () => {
    const { client } = await connect();
    const list = await client.listTools();
    expect(names(list)).toEqual(['north__transfer_funds', 'north__read_balance', 'north__ask_user', 'south__transfer_funds', 'south__read_balance']);
    expect(list._meta).toEqual({ 'countersign/missing': { gone: 'upstream_unreachable' } });
    expect(list.tools[0]?.description).toMatch(/^Moves money\. \[A person decides/);
  });

  it('calls the server that the tool names, and no other', async () => {
    const { client } = await connect();
    const before = [north.ran.length, south.ran.length];
    expect(await client.callTool({ name: 'south__read_balance', arguments: {} })).toMatchObject({ content: [{ text: 'done read_balance' }] });
    expect([north.ran.length, south.ran.length]).toEqual([before[0], (before[1] ?? 0) + 1]);
  });
});

describe('an SDK v2 client', () => {
  it('works with both revisions', async () => {
    const modern = await connectModern();
    expect(names(await modern.listTools())).toContain('north__read_balance');
    expect(await modern.callTool({ name: 'north__read_balance', arguments: {} })).toMatchObject({ content: [{ text: 'done read_balance' }] });
    const old = await connectModern('banks');
    expect(names(await old.listTools())).toContain('south__read_balance');
    expect(await old.callTool({ name: 'south__read_balance', arguments: {} })).toMatchObject({ content: [{ text: 'done read_balance' }] });
  });
});
