// The bridges that docs/mcp.md names for servers that speak stdio, in front of the published filesystem server. They
// are not among the dependencies: each is skipped unless MCP_PROXY (a command) or SUPERGATEWAY (its script) says where
// it is.

import { spawn } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { connect as connectTo } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { freePort } from '../../config/quickstart/layout.ts';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';

const { MCP_PROXY, SUPERGATEWAY } = process.env;
const SERVER = realpathSync('node_modules/@modelcontextprotocol/server-filesystem/dist/index.js');

interface Bridge {
  readonly env: Environment;
  /** What the server serves. */
  readonly files: string;
}

const it = freshGatewayTest
  .extend('files', ({ folder }) => {
    const files = realpathSync(folder);
    writeFileSync(join(files, 'hello.txt'), 'Hello from a file');
    return files;
  })
  // The bridge starts the server as its child, in a group of their own.
  .extend(
    'serve',
    ({ files, closes, environment }) =>
      async (command: string, args: (port: number) => readonly string[]): Promise<Bridge> => {
        const port = await freePort();
        await closes(spawn(command, [...args(port)], { stdio: 'ignore', detached: true }), (bridge) => {
          if (bridge.pid !== undefined && bridge.exitCode === null) process.kill(-bridge.pid, 'SIGTERM');
        });
        await expect.poll(() => listens(port), { timeout: 30_000, interval: 200 }).toBe(true);
        const env = await environment({
          upstreams: { files: { url: `http://127.0.0.1:${port}/mcp`, protocol: 'mcp' } },
          rules: [
            rule.allow('read', { upstream: 'files', tool: 'read_*' }),
            rule.hold('write', { upstream: 'files', tool: 'write_file' }),
          ],
          limits: { wait: '20s' },
        });
        return { env, files };
      },
  );

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1', () => resolve(socket.destroy() !== undefined)).on('error', () =>
      resolve(false),
    );
  });

async function useFiles({ env, files }: Bridge): Promise<void> {
  const alice = await env.reviewer('alice');
  const { client: first } = await connectV1(env, 'files');
  const second = await connectV2(env, 'files');
  for (const client of [first, second]) {
    const name = client === first ? 'first.txt' : 'second.txt';
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('write_file');
    const read = await client.callTool({ name: 'read_text_file', arguments: { path: join(files, 'hello.txt') } });
    expect(JSON.stringify(read)).toContain('Hello from a file');
    const { hold } = await alice.expect('PENDING');
    const written = client.callTool({
      name: 'write_file',
      arguments: { path: join(files, name), content: 'approved' },
    });
    await alice.approve(await hold);
    expect(JSON.stringify(await written)).toContain('Successfully wrote');
    await client.close();
  }
}

describe.skipIf(MCP_PROXY === undefined)('mcp-proxy', { timeout: 120_000 }, () => {
  it('fronts a stdio server', async ({ files, serve }) => {
    const stdio = [process.execPath, SERVER, files];
    await useFiles(
      await serve(MCP_PROXY ?? '', (port) => ['--host', '127.0.0.1', '--port', String(port), '--', ...stdio]),
    );
  });
});

describe.skipIf(SUPERGATEWAY === undefined)('supergateway', { timeout: 120_000 }, () => {
  it.for(['stateless', 'stateful'])('fronts a stdio server, %s', async (how, { files, serve }) => {
    const stdio = `${process.execPath} ${SERVER} ${files}`;
    const bridge = await serve(process.execPath, (port) => [
      realpathSync(SUPERGATEWAY ?? ''),
      ...['--stdio', stdio, '--outputTransport', 'streamableHttp', '--port', String(port)],
      ...(how === 'stateful' ? ['--stateful'] : []),
    ]);
    await useFiles(bridge);
  });
});
