// MCP as agents speak it: the official TypeScript client, through the gateway, to the official reference server. A
// refusal has to reach the model as the result of its tool call, since a bare HTTP error would look like a broken
// connection.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect } from 'vitest';
import { startChild } from '../../config/quickstart/child.ts';
import { freePort } from '../../config/quickstart/layout.ts';
import { type Rules, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1 } from '../support/mcp-clients.ts';

const RULES: Rules = [
  rule.allow('echo', { upstream: 'tools', tool: 'echo' }),
  rule.hold('sums', { upstream: 'tools', tool: 'get-sum' }),
  rule.deny('large', { upstream: 'tools', tool: 'get-sum' }, { when: 'args.a > 1000.0' }),
  rule.deny('no-environment', { upstream: 'tools', tool: 'get-env' }),
];

const it = gatewayTest
  .extend('port', file, () => freePort())
  .extend('server', file, async ({ folder, port, closes }) => {
    const entry = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
    const loopback = pathToFileURL(join(import.meta.dirname, '../../config/quickstart/loopback.ts')).href;
    return closes(
      startChild({
        name: 'The MCP reference server',
        args: ['--import', loopback, entry, 'streamableHttp'],
        cwd: dirname(entry),
        env: { PORT: String(port) },
        logPath: join(folder, 'server.log'),
        isReady: (line) => line.includes(`listening on port ${port}`),
      }),
      (server) => server.stop(),
    );
  })
  .extend('env', file, ({ server: _running, port, environment }) =>
    environment({
      upstreams: { tools: { url: `http://127.0.0.1:${port}/mcp`, protocol: 'mcp' } },
      rules: RULES,
      limits: { wait: '20s', pendingPerAgent: 100 },
    }),
  );

const connect = async (env: Environment, headers: Readonly<Record<string, string>> = {}): Promise<Client> =>
  (await connectV1(env, 'tools', { headers })).client;

/** Calls a tool as an agent would; a problem of the protocol throws. */
async function use(client: Client, name: string, args: Record<string, unknown>) {
  const { isError, content, _meta } = CallToolResultSchema.parse(await client.callTool({ name, arguments: args }));
  const [first] = content;
  return { isError: isError === true, text: first?.type === 'text' ? first.text : '', meta: _meta ?? {} };
}

describe('a session', () => {
  it('is opened, and lists the tools of the server that a rule could let the agent call', async ({ env }) => {
    const client = await connect(env);
    expect(client.getServerVersion()?.name).toContain('everything');
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo', 'get-sum']);
    await client.ping();
  });

  it('is not opened without a token', async ({ env }) => {
    await expect(connect(env, { authorization: 'Bearer a.b.c' })).rejects.toThrow();
  });
});

describe('a tool', () => {
  it('that a rule allows is called', async ({ env }) => {
    expect(await use(await connect(env), 'echo', { message: 'hello' })).toMatchObject({
      isError: false,
      text: expect.stringContaining('hello'),
    });
  });

  it.for([
    ['that a rule denies', 'get-env', {}, 'denied'],
    ['that no rule names', 'get-tiny-image', {}, 'no_matching_rule'],
    ['whose arguments a rule denies, though another would hold it', 'get-sum', { a: 1001, b: 1 }, 'denied'],
  ] as const)('%s is an error that the model can read', async ([_which, name, args, code], { env }) => {
    const { isError, text, meta } = await use(await connect(env), name, args);
    expect([isError, meta]).toEqual([true, { 'countersign/code': code }]);
    expect(text).toMatch(/not executed|nothing was executed/i);
    expect(text).toMatch(/do not rephrase/i);
  });

  it('that is held is called when it is approved while its agent waits', async ({ env }) => {
    const client = await connect(env);
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const sum = use(client, 'get-sum', { a: 2, b: 40 });
    const id = await hold;
    expect(await alice.show(id)).toMatchObject({ action: { tool: 'get-sum', args: { a: 2, b: 40 } } });
    await alice.approve(id);
    expect(await sum).toMatchObject({ isError: false, text: expect.stringContaining('42') });
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('that is held and not decided on is an error that names the hold and says to wait', async ({ env }) => {
    const client = await connect(env, { prefer: 'wait=0' });
    const { isError, text, meta } = await use(client, 'get-sum', { a: 3, b: 4 });
    expect([isError, meta]).toEqual([
      true,
      {
        'countersign/code': 'approval_pending',
        'countersign/hold': expect.stringMatching(/^hold_[\w-]{22}$/),
        'countersign/status': `/countersign/v1/holds/${meta['countersign/hold']}`,
        'countersign/retryAfter': expect.any(Number),
      },
    ]);
    expect(text).toContain(String(meta['countersign/hold']));
    expect(text).toMatch(/nothing was executed/i);
  });

  it('that is held is called when its agent asks again after the approval, under another JSON-RPC id', async ({
    env,
  }) => {
    const client = await connect(env, { prefer: 'wait=0' });
    const alice = await env.reviewer('alice');
    const first = await use(client, 'get-sum', { a: 5, b: 6 });
    const id = String(first.meta['countersign/hold']);
    expect((await use(client, 'get-sum', { a: 5, b: 6 })).meta['countersign/hold']).toBe(id);
    await alice.approve(id);
    expect(await use(client, 'get-sum', { a: 5, b: 6 })).toMatchObject({
      isError: false,
      text: expect.stringContaining('11'),
    });
  });

  it('that a reviewer denies is an error that tells the model to leave it', async ({ env }) => {
    const client = await connect(env);
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const sum = use(client, 'get-sum', { a: 7, b: 8 });
    await alice.deny(await hold);
    expect(await sum).toMatchObject({
      isError: true,
      text: expect.stringMatching(/denied/i),
      meta: { 'countersign/code': 'approval_denied' },
    });
  });
});

describe('other requests', () => {
  it('that no rule allows are JSON-RPC errors', async ({ env }) => {
    const failure = (await connect(env)).readResource({ uri: 'demo://resource/static/document/architecture.md' });
    await expect(failure).rejects.toMatchObject({ code: -32000, data: { code: 'no_matching_rule' } });
  });

  const message = (id: number, method = 'tools/call') => ({
    jsonrpc: '2.0',
    id,
    method,
    params: { name: 'echo', arguments: { message: 'a' } },
  });

  it.for([
    ['a batch', [message(1), message(2)], {}, 400, 'bad_rpc'],
    ['a batch of one', [message(1)], {}, 400, 'bad_rpc'],
    ['a method in another case', message(1, 'Tools/Call'), {}, 400, 'bad_rpc'],
    ['an Mcp-Method that the body does not bear out', message(1), { 'mcp-method': 'tools/list' }, 400, 'bad_rpc'],
    ['an Mcp-Name that the body does not bear out', message(1), { 'mcp-name': 'get-env' }, 400, 'bad_rpc'],
    ['a web page of another origin', message(1), { origin: 'https://evil.example' }, 403, 'denied'],
    ['a path below the endpoint', message(1), {}, 404, 'not_found', '/tools/other'],
  ] as const)('are refused: %s', async ([_which, body, headers, status, code, path = '/tools'], { env }) => {
    const response = await env.call(path, {
      method: 'POST',
      body,
      headers: { accept: 'application/json, text/event-stream', ...headers },
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([status, code]);
  });
});
