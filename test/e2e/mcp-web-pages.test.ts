// Kind: MCP clients that run in a web page of a listed origin. A browser asks before it sends the page's token, and
// lets the page read an answer, a refusal included, only where the answer names the origin. Other origins get nothing
// by which a browser would let them go on.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';

const PAGE = 'https://app.example';
let env: Environment;

beforeAll(async () => {
  env = await startEnvironment({
    upstreams: ({ origin }) => `
  tools: { url: "${origin}/mcp", protocol: mcp, allowedOrigins: ["${PAGE}", "http://localhost:6274"] }
  many: { protocol: mcp, allowedOrigins: ["${PAGE}"], servers: { a: { url: "${origin}/mcp" } } }
  closed: { url: "${origin}/mcp", protocol: mcp }`,
    rules: `
  - { id: free, match: { tool: "*free" }, decide: allow }
  - { id: pay, match: { tool: "*pay" }, decide: hold, tier: payment }
`,
    limits: '{ wait: 100ms }',
  });
  env.upstream.respond((request, response) => {
    const { id } = JSON.parse(request.body);
    response.writeHead(200, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
    });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } }));
  });
});
afterAll(() => env.close());

function preflight(
  path: string,
  origin: string,
  fields = 'authorization,content-type,mcp-protocol-version',
): Promise<Response> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': fields };
  return fetch(`http://127.0.0.1:${env.ports.agents}${path}`, { method: 'OPTIONS', headers });
}

const field = ({ headers }: Response, name: string) => headers.get(`access-control-${name}`);

function post(path: string, name: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } };
  return env.call(path, {
    method: 'POST',
    body,
    headers: { accept: 'application/json, text/event-stream', ...headers },
  });
}

describe('a preflight', () => {
  it.each(['/tools', '/tools/', '/many', '/.well-known/oauth-protected-resource/tools'])(
    'is answered before anybody is identified, at %s',
    async (path) => {
      const answer = await preflight(path, PAGE);
      expect([answer.status, field(answer, 'allow-origin'), answer.headers.get('vary')]).toEqual([204, PAGE, 'origin']);
      expect(field(answer, 'allow-methods')).toBe('GET, POST, DELETE');
      expect(field(answer, 'allow-headers')).toBe('authorization,content-type,mcp-protocol-version');
      expect(await answer.text()).toBe('');
    },
  );

  it.each([
    ['/tools', 'https://evil.example'],
    ['/tools', 'null'],
    ['/tools', `${PAGE}.evil.example`],
    ['/tools', 'http://app.example'],
    ['/many', 'http://localhost:6274'],
    ['/closed', PAGE],
    ['/tools/below', PAGE],
    ['/api', PAGE],
    ['/countersign/v1/holds/hold_x', PAGE],
  ])('gets nothing at %s for %s', async (path, origin) => {
    const answer = await preflight(path, origin);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  it('repeats no field names that are none', async () => {
    expect(field(await preflight('/tools', PAGE, 'x y,"'), 'allow-headers')).toBeNull();
  });
});

it.each([
  ['an answer', '/tools', 'free', {}, 200],
  ['a refusal where servers share a mount', '/many', 'a__free', {}, 400],
  ['a denial', '/tools', 'other', {}, 200],
  ['a pending answer', '/tools', 'pay', {}, 200],
  ['a refused token', '/tools', 'free', { authorization: 'Bearer x.y.z' }, 401],
])('%s can be read by the page, and names its origin once', async (_what, path, name, headers, status) => {
  const answer = await post(path, name, { origin: PAGE, ...headers });
  expect([answer.status, field(answer, 'allow-origin'), field(answer, 'allow-credentials')]).toEqual([
    status,
    PAGE,
    null,
  ]);
  expect(field(answer, 'expose-headers')?.split(', ')).toEqual(
    expect.arrayContaining(['mcp-session-id', 'www-authenticate', 'countersign-hold', 'retry-after']),
  );
});

// Kind: an answer for one asker that a cache gives to another, for whom it has other fields.
it.each<[string, Readonly<Record<string, string>>]>([
  ['nobody’s page', {}],
  ['another origin', { origin: 'https://evil.example' }],
  ['a listed origin', { origin: PAGE }],
])('an answer to %s is kept apart by caches, also where it is the metadata', async (_who, headers) => {
  const answers = await Promise.all([
    post('/tools', 'free', headers),
    post('/many', 'a__free', headers),
    fetch(`http://127.0.0.1:${env.ports.agents}/.well-known/oauth-protected-resource/tools`, { headers }),
    fetch(`http://127.0.0.1:${env.ports.agents}/tools`, { method: 'POST', headers }),
  ]);
  expect(answers.map((answer) => answer.headers.get('vary'))).toEqual(['origin', 'origin', 'origin', 'origin']);
  for (const answer of answers) expect(field(answer, 'allow-origin')).toBe(headers.origin === PAGE ? PAGE : null);
});

it('a page of another origin calls nothing and reads nothing, and who sends no Origin sees no difference', async () => {
  const before = env.upstream.requests.length;
  const denied = await post('/tools', 'free', { origin: 'https://evil.example' });
  expect([denied.status, field(denied, 'allow-origin')]).toEqual([403, null]);
  expect(env.upstream.requests).toHaveLength(before);
  expect((await post('/tools', 'free', {})).status).toBe(200);
});
