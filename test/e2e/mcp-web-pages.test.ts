// Kind: MCP clients that run in a web page of a listed origin. A browser asks before it sends the page's token, and
// lets the page read an answer, a refusal included, only where the answer names the origin. Other origins get nothing
// by which a browser would let them go on.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const PAGE = 'https://app.example';

const it = gatewayTest.extend('env', file, async ({ environment }) => {
  const env = await environment(({ origin }) => ({
    upstreams: {
      tools: { url: `${origin}/mcp`, protocol: 'mcp', allowedOrigins: [PAGE, 'http://localhost:6274'] },
      many: { protocol: 'mcp', allowedOrigins: [PAGE], servers: { a: { url: `${origin}/mcp` } } },
      closed: { url: `${origin}/mcp`, protocol: 'mcp' },
    },
    rules: [rule.allow('free', { tool: '*free' }), rule.hold('pay', { tool: '*pay' })],
    limits: { wait: '100ms' },
  }));
  env.upstream.respond((request, response) => {
    const { id } = JSON.parse(request.body);
    response.writeHead(200, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
    });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } }));
  });
  return env;
});

function preflight(
  env: Environment,
  path: string,
  origin: string,
  fields = 'authorization,content-type,mcp-protocol-version',
): Promise<Response> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': fields };
  return fetch(`http://127.0.0.1:${env.ports.agents}${path}`, { method: 'OPTIONS', headers });
}

const field = ({ headers }: Response, name: string) => headers.get(`access-control-${name}`);

function post(
  env: Environment,
  path: string,
  name: string,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } };
  return env.call(path, {
    method: 'POST',
    body,
    headers: { accept: 'application/json, text/event-stream', ...headers },
  });
}

describe('a preflight', () => {
  it.for(['/tools', '/tools/', '/many', '/.well-known/oauth-protected-resource/tools'])(
    'is answered before anybody is identified, at %s',
    async (path, { env }) => {
      const answer = await preflight(env, path, PAGE);
      expect([answer.status, field(answer, 'allow-origin'), answer.headers.get('vary')]).toEqual([204, PAGE, 'origin']);
      expect(field(answer, 'allow-methods')).toBe('GET, POST, DELETE');
      expect(field(answer, 'allow-headers')).toBe('authorization,content-type,mcp-protocol-version');
      expect(await answer.text()).toBe('');
    },
  );

  it.for([
    ['/tools', 'https://evil.example'],
    ['/tools', 'null'],
    ['/tools', `${PAGE}.evil.example`],
    ['/tools', 'http://app.example'],
    ['/many', 'http://localhost:6274'],
    ['/closed', PAGE],
    ['/tools/below', PAGE],
    ['/api', PAGE],
    ['/countersign/v1/holds/hold_x', PAGE],
  ] as const)('gets nothing at %s for %s', async ([path, origin], { env }) => {
    const answer = await preflight(env, path, origin);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  it('repeats no field names that are none', async ({ env }) => {
    expect(field(await preflight(env, '/tools', PAGE, 'x y,"'), 'allow-headers')).toBeNull();
  });
});

it.for([
  ['an answer', '/tools', 'free', {}, 200],
  ['a refusal where servers share a mount', '/many', 'a__free', {}, 400],
  ['a denial', '/tools', 'other', {}, 200],
  ['a pending answer', '/tools', 'pay', {}, 200],
  ['a refused token', '/tools', 'free', { authorization: 'Bearer x.y.z' }, 401],
] as const)(
  '%s can be read by the page, and names its origin once',
  async ([_what, path, name, headers, status], { env }) => {
    const answer = await post(env, path, name, { origin: PAGE, ...headers });
    expect([answer.status, field(answer, 'allow-origin'), field(answer, 'allow-credentials')]).toEqual([
      status,
      PAGE,
      null,
    ]);
    expect(field(answer, 'expose-headers')?.split(', ')).toEqual(
      expect.arrayContaining(['mcp-session-id', 'www-authenticate', 'countersign-hold', 'retry-after']),
    );
  },
);

// Kind: an answer for one asker that a cache gives to another, for whom it has other fields.
it.for<[string, Readonly<Record<string, string>>]>([
  ['nobody’s page', {}],
  ['another origin', { origin: 'https://evil.example' }],
  ['a listed origin', { origin: PAGE }],
] as const)(
  'an answer to %s is kept apart by caches, also where it is the metadata',
  async ([_who, headers], { env }) => {
    const answers = await Promise.all([
      post(env, '/tools', 'free', headers),
      post(env, '/many', 'a__free', headers),
      fetch(`http://127.0.0.1:${env.ports.agents}/.well-known/oauth-protected-resource/tools`, { headers }),
      fetch(`http://127.0.0.1:${env.ports.agents}/tools`, { method: 'POST', headers }),
    ]);
    expect(answers.map((answer) => answer.headers.get('vary'))).toEqual(['origin', 'origin', 'origin', 'origin']);
    for (const answer of answers) expect(field(answer, 'allow-origin')).toBe(headers.origin === PAGE ? PAGE : null);
  },
);

it('a page of another origin calls nothing and reads nothing, and who sends no Origin sees no difference', async ({
  env,
}) => {
  const before = env.upstream.requests.length;
  const denied = await post(env, '/tools', 'free', { origin: 'https://evil.example' });
  expect([denied.status, field(denied, 'allow-origin')]).toEqual([403, null]);
  expect(env.upstream.requests).toHaveLength(before);
  expect((await post(env, '/tools', 'free', {})).status).toBe(200);
});
