// What a browser lets a page do at an MCP mount follows from fields of the answers. Kinds: a client that a browser stops although its origin is
// listed, and a page of another origin that may send or read anything.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { sendRaw } from '../support/raw-http.ts';

const PAGE = 'https://app.example.org';
const OTHER_PAGE = 'http://localhost:6274';
const METADATA = '/.well-known/oauth-protected-resource';

let env: Environment;
beforeAll(async () => {
  env = await startEnvironment({
    upstreams: ({ origin }) => `
  tools: { url: "${origin}/mcp", protocol: mcp, allowedOrigins: ["${PAGE}", "${OTHER_PAGE}"], boundHeaders: [x-account] }
  both: { protocol: mcp, allowedOrigins: ["${PAGE}"], agentToken: x-agent-token, servers: { a: { url: "${origin}/a" } } }
  closed: { url: "${origin}/mcp", protocol: mcp }`,
    rules: `
  - { id: pay, match: { upstream: tools, tool: pay }, decide: hold, tier: payment }
  - { id: read, match: { upstream: tools, tool: "read*" }, decide: allow }
  - { id: plain, match: { upstream: api }, decide: allow }
`,
    limits: '{ wait: 0s }',
  });
  env.upstream.respond(({ body, method }, response) => {
    const { id, params } = method === 'POST' ? (JSON.parse(body) as { id: number; params: { name: string } }) : { id: 0, params: { name: '' } };
    const result = { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } };
    const headers = { 'mcp-session-id': 's1', 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true', vary: 'Accept' };
    if (params.name === 'read_stream' || method === 'GET') {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' }).end(`data: ${JSON.stringify(result)}\n\n`);
    } else response.writeHead(200, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(result));
  });
});
afterAll(() => env.close());

const url = (path: string) => `http://127.0.0.1:${env.ports.agents}${path}`;
const corsOf = ({ headers }: Response) => [...headers].filter(([name]) => name.startsWith('access-control-')).map(([name]) => name);
const listOf = (response: Response, name: string) => (response.headers.get(name) ?? '').toLowerCase().split(', ');
const call = (name: string) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } });
const preflight = (path: string, origin: string, fields = 'authorization,content-type', method = 'POST') =>
  fetch(url(path), {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, ...(fields !== '' && { 'access-control-request-headers': fields }) },
  });

/** What a browser asks of every answer before a page sees it: this very origin, and nothing of the browser's own. */
function expectReadable(response: Response, origin = PAGE): void {
  expect(response.headers.get('access-control-allow-origin')).toBe(origin);
  expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  expect(listOf(response, 'vary')).toContain('origin');
}

describe('a preflight', () => {
  it.each([
    ['a call', '/tools', PAGE, 'authorization,content-type,mcp-protocol-version,mcp-session-id', 'POST'],
    ['the stream', '/tools', OTHER_PAGE, 'authorization,last-event-id', 'GET'],
    ['the end of a session', '/tools', PAGE, 'authorization,mcp-session-id', 'DELETE'],
    ['a call of 2026-07-28', '/tools', PAGE, 'mcp-method,mcp-name,mcp-param-region,mcp-param-size', 'POST'],
    ['a call with fields of the gateway’s', '/tools', PAGE, 'prefer,idempotency-key,countersign-task,dpop,traceparent', 'POST'],
    ['a call with a field that the mount binds', '/tools', PAGE, 'x-account', 'POST'],
    ['a call with names in capitals and blanks', '/tools', PAGE, 'Authorization, Mcp-Param-Region', 'POST'],
    ['no further field', '/tools', PAGE, '', 'POST'],
    ['a mount address with a slash at its end', '/tools/', PAGE, 'authorization', 'POST'],
    ['a mount address with a query', '/tools?a=1', PAGE, 'authorization', 'POST'],
    ['a shared mount with a token field of its own', '/both', PAGE, 'x-agent-token', 'POST'],
    ['the metadata', `${METADATA}/tools`, PAGE, 'mcp-protocol-version', 'GET'],
    ['the metadata of a shared mount', `${METADATA}/both`, PAGE, 'mcp-protocol-version', 'GET'],
  ])('of a listed origin is answered without a token: %s', async (_what, path, origin, fields, method) => {
    const response = await preflight(path, origin, fields, method);
    expect([response.status, await response.text()]).toEqual([204, '']);
    expectReadable(response, origin);
    expect(listOf(response, 'access-control-allow-methods')).toContain(method.toLowerCase());
    const granted = listOf(response, 'access-control-allow-headers');
    for (const field of fields.toLowerCase().split(/, ?/).filter(Boolean)) expect(granted).toContain(field);
    expect(granted).not.toContain('*');
  });

  it.each(['cookie', 'x-other', 'mcp-params', 'mcp-param-ü', 'x-account-2', 'proxy-authorization', '*', 'x-agent-token'])(
    'grants no field that the mount does not read: %s',
    async (field) => {
      const lines = [
        'OPTIONS /tools HTTP/1.1',
        'Host: a',
        'Connection: close',
        `Origin: ${PAGE}`,
        'Access-Control-Request-Method: POST',
        `Access-Control-Request-Headers: ${field}`,
        '',
        '',
      ];
      const { status, text } = await sendRaw(env.ports.agents, lines.join('\r\n'));
      expect(status).toBe(204);
      const granted = (/^access-control-allow-headers: (.*)$/im.exec(text)?.[1] ?? '').trim().split(', ');
      expect(granted).not.toContain(field);
      expect(granted).toContain('authorization');
    },
  );

  it.each([
    ['another origin', '/tools', 'https://evil.example'],
    ['no origin in particular', '/tools', 'null'],
    ['an origin that begins alike', '/tools', `${PAGE}.evil.example`],
    ['an origin that ends alike', '/tools', 'https://evil-app.example.org'],
    ['a listed host under another scheme', '/tools', 'http://app.example.org'],
    ['a listed host at another port', '/tools', `${PAGE}:8443`],
    ['a listed origin in capitals', '/tools', PAGE.toUpperCase()],
    ['two origins', '/tools', `${PAGE}, ${OTHER_PAGE}`],
    ['an origin that another mount lists', '/both', OTHER_PAGE],
    ['a mount that lists none', '/closed', PAGE],
    ['the metadata of a mount that lists none', `${METADATA}/closed`, PAGE],
    ['the metadata, for another origin', `${METADATA}/tools`, 'https://evil.example'],
    ['a mount that is none of MCP', '/api/transfers', PAGE],
    ['no mount at all', '/nowhere', PAGE],
    ['the gateway’s own pages', '/countersign/v1/holds', PAGE],
    ['a server of a shared mount', '/both/a', OTHER_PAGE],
  ])('is refused without a field for the browser: %s', async (_what, path, origin) => {
    const response = await preflight(path, origin);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(corsOf(response)).toEqual([]);
    await response.text();
  });
});

describe('an answer to a page of a listed origin', () => {
  const post = (name: string, headers: Record<string, string> = {}, path = '/tools') =>
    env.call(path, { method: 'POST', body: call(name), headers: { accept: 'application/json, text/event-stream', origin: PAGE, ...headers } });

  it.each<[string, number, () => Promise<Response>]>([
    ['of the upstream', 200, () => post('read')],
    ['of the upstream, as a stream of events', 200, () => post('read_stream')],
    ['on the stream that the page keeps open', 200, () => env.call('/tools', { headers: { accept: 'text/event-stream', origin: PAGE } })],
    ['of a hold', 200, () => post('pay')],
    ['of a denial', 200, () => post('other')],
    ['to a message that is none', 400, () => env.call('/tools', { method: 'POST', body: '{', headers: { origin: PAGE } })],
    ['without a token', 401, () => fetch(url('/tools'), { method: 'POST', body: '{}', headers: { origin: PAGE } })],
    ['with a token that is none', 401, () => fetch(url('/tools'), { method: 'POST', body: '{}', headers: { origin: PAGE, authorization: 'Bearer x' } })],
    ['by a method that is none of MCP’s', 405, () => env.call('/tools', { method: 'PUT', body: '{}', headers: { origin: PAGE } })],
    ['with a field that comes twice', 400, () => post('read', { idempotency_key: 'a' })],
    ['below the endpoint', 404, () => post('read', {}, '/tools/other')],
    ['without the token field of a shared mount', 401, () => post('a__x', {}, '/both')],
    ['of the metadata', 200, () => fetch(url(`${METADATA}/tools`), { headers: { origin: PAGE } })],
    ['to a wrong question about the metadata', 405, () => fetch(url(`${METADATA}/tools`), { method: 'POST', headers: { origin: PAGE } })],
  ])('may be read: %s', async (_what, status, ask) => {
    const response = await ask();
    await response.text();
    expect(response.status).toBe(status);
    expectReadable(response);
    for (const field of ['mcp-session-id', 'countersign-hold', 'retry-after', 'www-authenticate', 'dpop-nonce']) {
      expect(listOf(response, 'access-control-expose-headers')).toContain(field);
    }
  });

  it('keeps what the upstream says of caches', async () => {
    expect(listOf(await post('read'), 'vary')).toEqual(['accept', 'origin']);
  });
});

describe('an answer to anybody else', () => {
  it.each<[string, number, () => Promise<Response>]>([
    ['a page of another origin', 403, () => env.call('/tools', { method: 'POST', body: call('read'), headers: { origin: 'https://evil.example' } })],
    ['such a page without a token', 401, () => fetch(url('/tools'), { method: 'POST', body: '{}', headers: { origin: 'https://evil.example' } })],
    ['a page at a mount that lists none', 403, () => env.call('/closed', { method: 'POST', body: call('read'), headers: { origin: PAGE } })],
    ['who is no page', 200, () => env.call('/tools', { method: 'POST', body: call('read') })],
    ['who asks for the metadata from elsewhere', 200, () => fetch(url(`${METADATA}/tools`), { headers: { origin: 'https://evil.example' } })],
  ])('has no field for browsers: %s', async (_who, status, ask) => {
    const response = await ask();
    await response.text();
    expect([response.status, corsOf(response)]).toEqual([status, []]);
  });

  it.each(['/tools', `${METADATA}/tools`])('is kept apart by caches: %s', async (path) => {
    const response = await (path === '/tools' ? env.call(path, { method: 'POST', body: call('read') }) : fetch(url(path)));
    await response.text();
    expect(listOf(response, 'vary')).toContain('origin');
  });

  it('who asks with OPTIONS and is no browser is a caller like any', async () => {
    expect((await fetch(url('/tools'), { method: 'OPTIONS' })).status).toBe(401);
    expect((await fetch(url('/tools'), { method: 'OPTIONS', headers: { origin: PAGE } })).status).toBe(401);
    expect((await env.call('/tools', { method: 'OPTIONS', headers: { origin: PAGE } })).status).toBe(405);
  });
});

it('follows the configuration file', async () => {
  const origin = 'https://new.example';
  expect((await preflight('/closed', origin)).status).toBe(403);
  const change = (yaml: string) => yaml.replace(/(closed: \{.*protocol: mcp)/, `$1, allowedOrigins: ["${origin}"]`);
  expect(await env.edit(change)).toBe('config.reloaded');
  expectReadable(await preflight('/closed', origin), origin);
});
