// One mount for several MCP servers, as real clients use it: the TypeScript SDK v1 and v2 with their default
// configuration, over servers that know nothing of each other. Two of them offer the same tools: whose is called is
// what counts.

import { Client as ModernClient } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import { giveUpWhileHeld, wasSentAway } from './held.ts';

interface Result {
  readonly content: readonly { readonly text: string }[];
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

const amount = countFrom(1);

const it = gatewayTest
  .extend('north', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('south', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('modernNorth', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('modernSouth', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('env', file, ({ north, south, modernNorth, modernSouth, environment }) =>
    environment({
      upstreams: {
        banks: {
          protocol: 'mcp',
          serversWithin: '2s',
          servers: {
            north: { url: north.url, credential: 'key' },
            south: { url: south.url },
            gone: { url: 'http://127.0.0.1:9/mcp' },
          },
        },
        modern: {
          protocol: 'mcp',
          serversWithin: '2s',
          servers: { north: { url: modernNorth.url }, south: { url: modernSouth.url } },
        },
        mixed: { protocol: 'mcp', servers: { old: { url: north.url }, new: { url: modernNorth.url } } },
      },
      rules: [
        rule.hold('pay', { upstream: 'banks', tool: 'north__transfer_funds' }),
        rule.hold('pay-south', { upstream: 'banks', server: 'south', tool: '*__transfer_funds' }),
        rule.allow('read', { upstream: 'banks', tool: '*__read_balance' }),
        rule.allow('ask', { upstream: 'banks', server: 'north', tool: '*__ask_user' }),
        rule.allow('asks', { upstream: 'banks', mcp: ['elicitation/create'] }),
        rule.allow('mixed', { upstream: 'mixed', tool: '*__read_balance' }),
        rule.allow('modern', { upstream: 'modern', tool: 'north__*' }),
        rule.allow('modern-ask', { upstream: 'modern', mcp: ['elicitation/create'] }),
        rule.hold('modern-pay', { upstream: 'modern', tool: 'transfer_funds' }),
      ],
      limits: { wait: '1s', pendingPerAgent: 100 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

const connect = (env: Environment, as?: string, client?: Client) =>
  connectV1(env, 'banks', { as, ...(client && { client }) });
/** A client that goes on in the session of another, at the port that the gateway has now. */
const connectTo = (env: Environment, other: Client) => connectV1(env, 'banks', { sessionId: sessionOf(other) });
const connectModern = (env: Environment, mount = 'modern') => connectV2(env, mount);
const sessionOf = ({ transport }: Client) => (transport as unknown as StreamableHTTPClientTransport).sessionId;

const names = (list: { tools: readonly { name: string }[] }) => list.tools.map(({ name }) => name);
const payment = (server: string) => ({ name: `${server}__transfer_funds`, arguments: { amount: amount() } });
const ranWith = (server: McpUpstream, call: ReturnType<typeof payment>) =>
  server.ran.filter(({ args }) => args.amount === call.arguments.amount);

describe('an SDK v1 client', () => {
  it('sees the tools of all servers that it may call, each under its server, and which server is missing', async ({
    env,
  }) => {
    const { client } = await connect(env);
    expect(client.getServerVersion()?.name).toBe('banks');
    const list = await client.listTools();
    expect(names(list)).toEqual([
      'north__transfer_funds',
      'north__read_balance',
      'north__ask_user',
      'south__transfer_funds',
      'south__read_balance',
    ]);
    expect(list._meta).toEqual({ 'countersign/missing': { gone: 'upstream_unreachable' } });
    expect(list.tools[0]?.description).toMatch(/^Moves money\. \[A person decides/);
    await client.ping();
  });

  it('calls the server that the tool names, and no other', async ({ north, south, env }) => {
    const { client } = await connect(env);
    const before = [north.ran.length, south.ran.length];
    expect(await client.callTool({ name: 'south__read_balance', arguments: {} })).toMatchObject({
      content: [{ text: 'done read_balance' }],
    });
    expect([north.ran.length, south.ran.length]).toEqual([before[0], (before[1] ?? 0) + 1]);
  });

  it('gets a held call through by sending it again after the approval, also when the gateway was restarted in between', async ({
    north,
    south,
    env,
    alice,
  }) => {
    const { client } = await connect(env);
    const call = payment('north');
    const first = (await client.callTool(call)) as unknown as Result;
    const id = String(first._meta?.['countersign/hold']);
    expect((await alice.show(id)).action).toMatchObject({ upstream: 'banks/north', tool: 'transfer_funds' });
    await alice.approve(id);
    await env.kill();
    await env.start();
    const { client: again } = await connectTo(env, client);
    expect(await again.callTool(call)).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect([ranWith(north, call), ranWith(south, call)].map((ran) => ran.length)).toEqual([1, 0]);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('is kept by progress notifications while people decide', async ({ north, south, env, alice }) => {
    const { client } = await connect(env);
    const { hold } = await alice.expect('PENDING');
    const call = payment('south');
    const progress: { message?: string | undefined }[] = [];
    const answer = client.callTool(call, undefined, {
      onprogress: (update) => void progress.push(update),
      resetTimeoutOnProgress: true,
    });
    const id = await hold;
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(progress[0]?.message).toContain(id);
    expect([ranWith(north, call), ranWith(south, call)].map((ran) => ran.length)).toEqual([0, 1]);
  });

  it('cancels a held call, whose server nothing in the cancellation names', async ({ env, alice }) => {
    const { client } = await connect(env);
    await giveUpWhileHeld(alice, client, payment('south'));
  });

  it('is told of arguments that do not fit before anybody is asked', async ({ env }) => {
    const { client } = await connect(env);
    await client.listTools();
    const answer = await client.callTool({ name: 'north__transfer_funds', arguments: { amount: 'much' } });
    expect(answer).toMatchObject({ isError: true, _meta: { 'countersign/code': 'arguments_invalid' } });
  });

  it('answers what a server asks of its user', async ({ env }) => {
    const asking = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
    asking.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({
      action: 'accept',
      content: { name: params.message },
    }));
    const { client } = await connect(env, 'agent-1', asking);
    expect(await client.callTool({ name: 'north__ask_user', arguments: {} })).toMatchObject({
      content: [{ text: 'answer {"name":"Your name?"}' }],
    });
  });

  it('ends every server’s session with its own', async ({ north, south, env }) => {
    const { transport } = await connect(env);
    const before = [north, south].map(({ arrived }) => arrived.filter((method) => method === 'DELETE').length);
    await transport.terminateSession();
    expect([north, south].map(({ arrived }) => arrived.filter((method) => method === 'DELETE').length)).toEqual(
      before.map((count) => count + 1),
    );
  });
});

describe('an SDK v2 client', () => {
  it('works with both revisions', async ({ env }) => {
    const modern = await connectModern(env);
    // A hold rule means a tool of that name wherever it is, and what is held may be seen.
    const tools = names(await modern.listTools());
    expect(tools).toEqual(expect.arrayContaining(['north__transfer_funds', 'north__read_balance']));
    expect(tools.filter((name) => name.startsWith('south__'))).toEqual(['south__transfer_funds']);
    expect(await modern.callTool({ name: 'north__read_balance', arguments: {} })).toMatchObject({
      content: [{ text: 'done read_balance' }],
    });
    const old = await connectModern(env, 'banks');
    expect(names(await old.listTools())).toContain('south__read_balance');
    expect(await old.callTool({ name: 'south__read_balance', arguments: {} })).toMatchObject({
      content: [{ text: 'done read_balance' }],
    });
  });

  it('comes back by itself for a held call of protocol 2026-07-28, which one server gets once', async ({
    modernNorth,
    modernSouth,
    env,
    alice,
  }) => {
    const client = await connectModern(env);
    const { hold } = await alice.expect('PENDING');
    const call = payment('north');
    const answer = client.callTool(call);
    const id = await hold;
    await wasSentAway(env, id);
    await alice.approve(id);
    expect(await answer).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect([ranWith(modernNorth, call), ranWith(modernSouth, call)].map((ran) => ran.length)).toEqual([1, 0]);
  });

  it('goes through a round trip of one server’s own', async ({ env }) => {
    const asked = new ModernClient(
      { name: 'test', version: '1' },
      { versionNegotiation: { mode: 'auto' }, capabilities: { elicitation: { form: {} } } },
    );
    asked.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'Ann' } }));
    const client = await connectV2(env, 'modern', { client: asked });
    expect(await client.callTool({ name: 'north__ask_user', arguments: {} })).toMatchObject({
      content: [{ text: 'done ask_user' }],
    });
  });

  it('falls back to sessions where one of the servers does not speak its revision', async ({ env }) => {
    const client = await connectModern(env, 'mixed');
    expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
    expect(names(await client.listTools())).toEqual(['old__read_balance']);
    expect((await client.listTools())._meta).toMatchObject({ 'countersign/missing': { new: expect.any(String) } });
  });
});
