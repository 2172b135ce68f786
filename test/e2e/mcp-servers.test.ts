// Published MCP servers behind the gateway, used by both TypeScript clients: server-everything over Streamable HTTP,
// and the filesystem server, which speaks stdio only, behind a bridge of a few lines as an operator would front it.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Client as SecondClient } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { describe, expect } from 'vitest';
import { freePort } from '../../config/quickstart/layout.ts';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';

const it = gatewayTest
  .extend('port', file, () => freePort())
  // A test puts another process there.
  .extend('everything', file, async ({ port, closes }) => {
    const everything = { process: await startEverything(port) };
    await closes({ close: () => everything.process.kill() });
    return everything;
  })
  .extend('files', file, ({ folder }) => {
    const files = realpathSync(folder);
    writeFileSync(join(files, 'hello.txt'), 'Hello from a file');
    return files;
  })
  .extend('bridge', file, ({ files, closes }) =>
    closes(bridgeTo(['node_modules/@modelcontextprotocol/server-filesystem/dist/index.js', files]), (bridge) => {
      bridge.close();
      bridge.closeAllConnections();
    }),
  )
  .extend('env', file, ({ port, everything: _running, bridge, environment }) =>
    environment({
      upstreams: {
        everything: { url: `http://127.0.0.1:${port}/mcp`, protocol: 'mcp' },
        files: { url: `http://127.0.0.1:${(bridge.address() as AddressInfo).port}/mcp`, protocol: 'mcp' },
        all: {
          protocol: 'mcp',
          servers: {
            everything: { url: `http://127.0.0.1:${port}/mcp` },
            files: { url: `http://127.0.0.1:${(bridge.address() as AddressInfo).port}/mcp` },
          },
        },
      },
      rules: [
        rule.allow('sum', { upstream: 'everything', tool: 'get-sum' }, { when: 'args.a + args.b < 100.0' }),
        rule.hold('research', { upstream: 'everything', tool: 'simulate-research-query' }),
        rule.allow('tasks', { upstream: 'everything', mcp: ['tasks/get', 'tasks/result'] }),
        rule.allow('echo', { upstream: 'everything', tool: 'echo' }),
        rule.allow('files', { upstream: 'files', tool: 'read_*' }),
        rule.hold('all-sum', { upstream: 'all', tool: 'everything__get-sum' }),
        rule.allow('all-echo', { upstream: 'all', tool: '*__echo' }),
        rule.allow('all-files', { upstream: 'all', tool: 'files__read_*' }),
        rule.allow('all-resources', {
          upstream: 'all',
          server: 'everything',
          mcp: ['resources/*', 'completion/complete'],
          resource: 'demo://*',
        }),
        rule.allow('all-prompts', { upstream: 'all', prompt: 'everything__*' }),
        rule.hold('write', { upstream: 'files', tool: 'write_file' }),
      ],
      limits: { wait: '0s' },
    }),
  );

async function startEverything(port: number): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ['node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'streamableHttp'],
    {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  if (child.stderr === null) throw new Error('no pipe');
  await once(child.stderr, 'data');
  return child;
}

/** One stdio server per session. */
async function bridgeTo(args: readonly string[]): Promise<Server> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const server = createServer(async (incoming, response) => {
    const session = incoming.headers['mcp-session-id'];
    let http = typeof session === 'string' ? sessions.get(session) : undefined;
    if (http === undefined) {
      const opened = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, opened),
      });
      const stdio = new StdioClientTransport({ command: process.execPath, args: [...args], stderr: 'ignore' });
      opened.onmessage = (message) => void stdio.send(message);
      opened.onclose = () => void stdio.close();
      stdio.onmessage = (message) => void opened.send(message);
      await Promise.all([stdio.start(), opened.start()]);
      http = opened;
    }
    await http.handleRequest(incoming, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const options = async (env: Environment) => ({
  requestInit: { headers: { authorization: `Bearer ${await env.token('agent-1')}` } },
});
const url = (env: Environment, mount: string) => new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`);

async function withClients(
  env: Environment,
  mount: string,
  use: (client: Client | SecondClient) => Promise<void>,
): Promise<void> {
  const { client: first } = await connectV1(env, mount);
  await use(first);
  await first.close();
  const second = await connectV2(env, mount);
  await use(second);
  await second.close();
}

describe('server-everything', { timeout: 60_000 }, () => {
  it('serves both clients what the rules allow, by tool and by argument', async ({ env }) => {
    await withClients(env, 'everything', async (client) => {
      expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(
        expect.arrayContaining(['echo', 'get-sum']),
      );
      expect(JSON.stringify(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } }))).toContain('5');
      expect(await client.callTool({ name: 'get-sum', arguments: { a: 99, b: 3 } })).toMatchObject({ isError: true });
      expect(await client.callTool({ name: 'get-env', arguments: {} })).toMatchObject({
        isError: true,
        _meta: { 'countersign/code': 'no_matching_rule' },
      });
    });
  });
});

describe('a tool of server-everything that makes tasks itself', { timeout: 60_000 }, () => {
  it('is held by the call, and its task stays the server’s', async ({ env }) => {
    const client = new Client({ name: 'v1', version: '1' }, { capabilities: { tasks: {} } });
    await client.connect(new StreamableHTTPClientTransport(url(env, 'everything'), await options(env)) as never);
    expect(client.getServerCapabilities()?.tasks?.list).toBeDefined();
    const { tools } = await client.listTools();
    expect(tools.find(({ name }) => name === 'simulate-research-query')?.execution).toEqual({
      taskSupport: 'required',
    });
    const call = async () => {
      const seen: { type: string; task?: { taskId: string }; error?: Error; result?: unknown }[] = [];
      for await (const message of client.experimental.tasks.callToolStream({
        name: 'simulate-research-query',
        arguments: { topic: 'holds' },
      }))
        seen.push(message);
      return seen;
    };
    const [refused] = await call();
    const { code, hold } = (refused?.error as unknown as { data?: { code: string; hold: string } } | undefined)
      ?.data ?? { code: '', hold: '' };
    expect(code).toBe('approval_pending');
    await (await env.reviewer('alice')).approve(hold);
    const seen = await call();
    expect(seen[0]?.task?.taskId).not.toMatch(/^countersign/);
    expect(seen.at(-1)).toMatchObject({ type: 'result' });
    await client.close();
  });
});

describe('the filesystem server behind a bridge', { timeout: 60_000 }, () => {
  it('serves both clients, and holds what writes', async ({ env, files }) => {
    await withClients(env, 'files', async (client) => {
      const names = (await client.listTools()).tools.map(({ name }) => name);
      expect(names).toContain('write_file');
      expect(names).not.toContain('move_file');
      expect(
        JSON.stringify(
          await client.callTool({ name: 'read_text_file', arguments: { path: join(files, 'hello.txt') } }),
        ),
      ).toContain('Hello from a file');
      const write = await client.callTool({
        name: 'write_file',
        arguments: { path: join(files, 'x.txt'), content: 'x' },
      });
      expect(write).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_pending' } });
    });
  });
});

describe('both under one mount', { timeout: 60_000 }, () => {
  it('serves both clients by one URL: tools, resources, templates and prompts of either', async ({ env, files }) => {
    await withClients(env, 'all', async (client) => {
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['everything__echo', 'everything__get-sum', 'files__read_text_file']),
      );
      expect(
        JSON.stringify(await client.callTool({ name: 'everything__echo', arguments: { message: 'hello' } })),
      ).toContain('hello');
      const path = join(files, 'hello.txt');
      expect(JSON.stringify(await client.callTool({ name: 'files__read_text_file', arguments: { path } }))).toContain(
        'Hello from a file',
      );
      const { resources } = await client.listResources();
      const uri = String(resources[0]?.uri);
      expect(uri).toMatch(/^everything\+demo:\/\//);
      expect((await client.readResource({ uri })).contents[0]?.uri).toBe(uri);
      expect((await client.listResourceTemplates()).resourceTemplates[0]?.uriTemplate).toMatch(
        /^everything\+demo:\/\/.*\{/,
      );
      const { prompts } = await client.listPrompts();
      const name = String(prompts.find(({ arguments: args }) => (args ?? []).length === 0)?.name);
      expect(name).toMatch(/^everything__/);
      expect((await client.getPrompt({ name })).messages.length).toBeGreaterThan(0);
      const sum = await client.callTool({ name: 'everything__get-sum', arguments: { a: 1, b: 2 } });
      expect(sum).toMatchObject({ isError: true, _meta: { 'countersign/code': 'approval_pending' } });
    });
  });

  it('goes on without the one that is killed, and with it when it is back', async ({ port, everything, env }) => {
    const client = new Client({ name: 'v1', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(url(env, 'all'), await options(env)) as never);
    const prefixes = async () => [...new Set((await client.listTools()).tools.map(({ name }) => name.split('__')[0]))];
    expect(await prefixes()).toEqual(['everything', 'files']);
    everything.process.kill('SIGKILL');
    await once(everything.process, 'exit');
    expect(await prefixes()).toEqual(['files']);
    expect(await client.callTool({ name: 'everything__echo', arguments: { message: 'x' } })).toMatchObject({
      isError: true,
    });
    everything.process = await startEverything(port);
    expect(await prefixes()).toEqual(['everything', 'files']);
    expect(
      JSON.stringify(await client.callTool({ name: 'everything__echo', arguments: { message: 'again' } })),
    ).toContain('again');
    await client.close();
  });
});
