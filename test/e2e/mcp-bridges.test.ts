// The bridges that docs/mcp.md names for servers that speak stdio, in front of the published filesystem server. They
// are not among the dependencies: each is skipped unless MCP_PROXY (a command) or SUPERGATEWAY (its script) says where
// it is.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectTo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as SecondClient, StreamableHTTPClientTransport as SecondTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';

const { MCP_PROXY, SUPERGATEWAY } = process.env;
const SERVER = realpathSync('node_modules/@modelcontextprotocol/server-filesystem/dist/index.js');

let env: Environment | undefined;
let bridge: ChildProcess | undefined;
let folder = '';
afterEach(async () => {
  await env?.close();
  if (bridge?.pid !== undefined && bridge.exitCode === null) process.kill(-bridge.pid, 'SIGTERM');
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1', () => resolve(socket.destroy() !== undefined)).on('error', () =>
      resolve(false),
    );
  });

async function serve(command: string, args: (port: number) => readonly string[]): Promise<void> {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-bridge-')));
  writeFileSync(join(folder, 'hello.txt'), 'Hello from a file');
  const port = await freePort();
  // A group of its own: the bridge starts the server as its child.
  bridge = spawn(command, [...args(port)], { stdio: 'ignore', detached: true });
  await expect.poll(() => listens(port), { timeout: 30_000, interval: 200 }).toBe(true);
  env = await startEnvironment({
    upstreams: `
  files: { url: "http://127.0.0.1:${port}/mcp", protocol: mcp }`,
    rules: `
  - { id: read, match: { upstream: files, tool: read_* }, decide: allow }
  - { id: write, match: { upstream: files, tool: write_file }, decide: hold, tier: payment }
`,
    limits: '{ wait: 20s }',
  });
}

async function useFiles(): Promise<void> {
  if (env === undefined) throw new Error('not started');
  const url = new URL(`http://127.0.0.1:${env.ports.agents}/files`);
  const options = { requestInit: { headers: { authorization: `Bearer ${await env.token('agent-1')}` } } };
  const alice = await env.reviewer('alice');
  const first = new Client({ name: 'v1', version: '1' });
  await first.connect(new StreamableHTTPClientTransport(url, options) as never);
  const second = new SecondClient({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await second.connect(new SecondTransport(url, options));
  for (const client of [first, second]) {
    const name = client === first ? 'first.txt' : 'second.txt';
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('write_file');
    const read = await client.callTool({ name: 'read_text_file', arguments: { path: join(folder, 'hello.txt') } });
    expect(JSON.stringify(read)).toContain('Hello from a file');
    const { hold } = await alice.expect('PENDING');
    const written = client.callTool({
      name: 'write_file',
      arguments: { path: join(folder, name), content: 'approved' },
    });
    await alice.approve(await hold);
    expect(JSON.stringify(await written)).toContain('Successfully wrote');
    await client.close();
  }
}

describe.skipIf(MCP_PROXY === undefined)('mcp-proxy', { timeout: 120_000 }, () => {
  it('fronts a stdio server', async () => {
    await serve(MCP_PROXY ?? '', (port) => [
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--',
      process.execPath,
      SERVER,
      folder,
    ]);
    await useFiles();
  });
});

describe.skipIf(SUPERGATEWAY === undefined)('supergateway', { timeout: 120_000 }, () => {
  it.each(['stateless', 'stateful'])('fronts a stdio server, %s', async (how) => {
    const stdio = (): string => `${process.execPath} ${SERVER} ${folder}`;
    await serve(process.execPath, (port) => [
      realpathSync(SUPERGATEWAY ?? ''),
      ...['--stdio', stdio(), '--outputTransport', 'streamableHttp', '--port', String(port)],
      ...(how === 'stateful' ? ['--stateful'] : []),
    ]);
    await useFiles();
  });
});
