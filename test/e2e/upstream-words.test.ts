// Kind: what an upstream says to whoever called it, and the agent would take for the gateway's word: challenges, links
// to a sign-in, orders about the whole host, addresses in its own address space. Over HTTP and MCP, with and without a
// credential of the gateway's.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(({ origin }) => ({
    upstreams: {
      based: { url: `${origin}/base`, credential: 'key' },
      open: { url: `${origin}/base` },
      tools: { url: `${origin}/base/mcp`, protocol: 'mcp', credential: 'key' },
      many: { protocol: 'mcp', servers: { a: { url: `${origin}/base/mcp`, credential: 'key' } } },
    },
    rules: [
      rule.allow('all', { methods: ['GET', 'POST'], upstream: 'based' }),
      rule.allow('open', { upstream: 'open' }),
      rule.allow('tools', { tool: '*' }),
      rule.allow('lists', { mcp: ['tools/list'] }),
    ],
  })),
);

const answer = (env: Environment, status: number, headers: Record<string, string>) =>
  env.upstream.respond(
    (_request, response) =>
      void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{"error":"x"}'),
  );

const tool = (env: Environment, mount: string, method = 'tools/call') =>
  env.call(mount, {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28' },
    body: {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...(method === 'tools/call' && { name: mount === '/many' ? 'a__t' : 't', arguments: {} }),
        _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
      },
    },
  });

const COMPLETED = 'countersign.call.completed';
const CHALLENGE = {
  'www-authenticate':
    'Bearer realm="bank", resource_metadata="https://bank.internal/.well-known/oauth-protected-resource"',
  link: '<https://idp.bank.example/authorize>; rel="oauth2-authorization-server"',
  'clear-site-data': '"cookies"',
  'strict-transport-security': 'max-age=1',
  'dpop-nonce': 'n',
  'authentication-info': 'nextnonce="x"',
};

describe('a 401 of an upstream', () => {
  it('keeps its status over HTTP, and loses every word that speaks for the gateway’s host or to its credential', async ({
    env,
  }) => {
    answer(env, 401, CHALLENGE);
    const response = await env.call('/based/accounts');
    expect(response.status).toBe(401);
    for (const name of Object.keys(CHALLENGE)) expect([name, response.headers.get(name)]).toEqual([name, null]);
  });

  it('keeps its challenge where the gateway sent no credential, and nothing that speaks for the host', async ({
    env,
  }) => {
    answer(env, 401, CHALLENGE);
    const response = await env.call('/open/accounts');
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, CHALLENGE['www-authenticate']]);
    for (const name of ['clear-site-data', 'strict-transport-security', 'dpop-nonce'])
      expect([name, response.headers.get(name)]).toEqual([name, null]);
  });

  it.for(['/tools', '/many'])(
    'is a tool’s error at the MCP mount %s: the upstream refused the gateway’s credential',
    async (mount, { env }) => {
      answer(env, 401, CHALLENGE);
      const response = await tool(env, mount);
      const { result } = (await response.json()) as {
        result: { isError: boolean; content: { text: string }[]; _meta: Record<string, string> };
      };
      expect([response.status, response.headers.get('www-authenticate'), result.isError]).toEqual([200, null, true]);
      expect(result._meta['countersign/code']).toBe('upstream_unauthorized');
      expect(result.content[0]?.text).toMatch(/refused the gateway’s credential\. Nothing was executed\./);
    },
  );

  it.for(['/tools', '/many'])(
    'is on record beside the status that the agent of the MCP mount %s got',
    async (mount, { env }) => {
      answer(env, 401, CHALLENGE);
      const before = env.log.length;
      const { status } = await tool(env, mount);
      const line = () => env.log.slice(before).find(({ event, tool: name }) => event === COMPLETED && name === 't');
      await expect.poll(line).toMatchObject({ upstream_status: 401, status });
    },
  );

  it('is an error of JSON-RPC for what is no tool call', async ({ env }) => {
    answer(env, 401, CHALLENGE);
    expect(await (await tool(env, '/tools', 'tools/list')).json()).toMatchObject({
      error: { data: { code: 'upstream_unauthorized' } },
    });
  });
});

describe('an address in an answer', () => {
  it.for([
    ['/base/jobs/7', '/based/jobs/7'],
    [(env: Environment) => `${env.upstream.origin}/base/jobs/7?page=2`, '/based/jobs/7?page=2'],
    ['jobs/7', '/based/jobs/7'],
    ['/elsewhere', null],
    ['http://ledger.internal/x', null],
    ['https://files.example.com/x', 'https://files.example.com/x'],
  ] as const)('%s', async ([value, expected], { env }) => {
    answer(env, 302, { location: typeof value === 'string' ? value : value(env) });
    const response = await env.call('/based/accounts');
    expect([response.status, response.headers.get('location')]).toEqual([302, expected]);
  });

  it.for(['/tools', '/many'])('is one of the mount in a redirect of an MCP server: %s', async (mount, { env }) => {
    answer(env, 307, { location: `${env.upstream.origin}/base/mcp/` });
    const response = await tool(env, mount);
    expect([response.status, response.headers.get('location')]).toEqual([307, `${mount}/`]);
  });
});
