import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RawAnswer, sendRaw } from '../support/raw-http.ts';
import { API, classifying, type Seen, startServer, type TestServer } from './server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer(classifying({ ...API, name: 'tools', basePath: '/mcp', protocol: 'mcp', allowedOrigins: ['https://ok.example'] }, 'stream'));
});

afterAll(() => server.close());

function send(start: string, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return sendRaw(server.port, [`${start} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, ...length, '', ''].join('\r\n'), Buffer.from(body));
}

const post = (message: unknown, ...lines: string[]) =>
  send('POST /tools', ['Content-Type: application/json', ...lines], typeof message === 'string' ? message : JSON.stringify(message));
const seen = (answer: RawAnswer): Seen => {
  if (answer.status !== 200) throw new Error(answer.text);
  return JSON.parse(answer.body) as Seen;
};
const codeOf = (answer: RawAnswer): unknown => (answer.status === 200 ? 'accepted' : (JSON.parse(answer.body) as { code: unknown }).code);

const rpc = { jsonrpc: '2.0', id: 7 };
const call = { ...rpc, method: 'tools/call', params: { name: 'transfer_funds', arguments: { amount: 5 } } };

describe('an MCP message as an action', () => {
  it('names the tool and its arguments', async () => {
    expect(seen(await post(call, 'Mcp-Session-Id: s1', 'Accept: application/json, text/event-stream'))).toMatchObject({
      protocol: 'mcp',
      upstream: 'tools',
      method: 'POST',
      target: '/mcp',
      path: '/',
      rpcMethod: 'tools/call',
      rpcId: 7,
      tool: 'transfer_funds',
      args: { amount: 5 },
      boundHeaders: ['accept', 'application/json, text/event-stream', 'content-type', 'application/json', 'mcp-session-id', 's1'],
      bodyText: JSON.stringify(call),
      streamed: false,
    });
  });

  it('takes absent arguments for none', async () => {
    expect(seen(await post({ ...call, params: { name: 'ping' } }))).toMatchObject({ tool: 'ping', args: {} });
  });

  it('gives the params of other methods as arguments, and no tool', async () => {
    const action = seen(await post({ ...rpc, id: 'x', method: 'resources/read', params: { uri: 'file:///a' } }));
    expect(action).toMatchObject({ rpcMethod: 'resources/read', rpcId: 'x', args: { uri: 'file:///a' } });
    expect(action).not.toHaveProperty('tool');
  });

  it('knows a notification by its missing id', async () => {
    const action = seen(await post({ jsonrpc: '2.0', method: 'notifications/initialized' }));
    expect(action.rpcMethod).toBe('notifications/initialized');
    expect(action).not.toHaveProperty('rpcId');
  });

  it('shows a response of the client whole', async () => {
    const response = { ...rpc, result: { action: 'accept' } };
    const action = seen(await post(response));
    expect(action.args).toEqual(response);
    expect(action).not.toHaveProperty('rpcMethod');
  });

  it.each(['GET', 'DELETE'])('has no message for %s', async (method) => {
    const action = seen(await send(`${method} /tools`, []));
    expect(action).toMatchObject({ method, target: '/mcp', streamed: false });
    expect(action).not.toHaveProperty('rpcMethod');
  });
});

describe('what is refused', () => {
  it.each<[string, unknown, ...string[]]>([
    ['a batch', [call]],
    ['an empty batch', []],
    ['a string', '"tools/call"'],
    ['another version', { ...call, jsonrpc: '1.0' }],
    ['no version', { id: 1, method: 'ping' }],
    ['a null id', { ...call, id: null }],
    ['a fractional id', { ...call, id: 1.5 }],
    ['an object for an id', { ...call, id: {} }],
    ['an unknown member', { ...call, Method: 'tools/list' }],
    ['a request that is a response too', { ...call, result: {} }],
    ['neither request nor response', rpc],
    ['a result and an error', { ...rpc, result: {}, error: {} }],
    ['a result without an id', { jsonrpc: '2.0', result: {} }],
    ['a method in another case', { ...call, method: 'Tools/Call' }],
    ['a method in another case at its end', { ...rpc, method: 'logging/setlevel' }],
    ['a method with a space', { ...call, method: 'tools/call ' }],
    ['a method that is no string', { ...call, method: 1 }],
    ['params as a list', { ...call, params: ['transfer_funds'] }],
    ['tools/call without params', { ...rpc, method: 'tools/call' }],
    ['a tool without a name', { ...call, params: { name: '' } }],
    ['a name in another case', { ...call, params: { name: 'safe', Name: 'transfer_funds' } }],
    ['arguments in another case', { ...call, params: { name: 'safe', Arguments: {} } }],
    ['arguments as a list', { ...call, params: { name: 'safe', arguments: [] } }],
    ['null arguments', { ...call, params: { name: 'safe', arguments: null } }],
    ['another Mcp-Method', call, 'Mcp-Method: tools/list'],
    ['Mcp-Method in another case', call, 'Mcp-Method: Tools/Call'],
    ['another Mcp-Name', call, 'Mcp-Name: safe'],
    ['another Mcp-Name in base64', call, `Mcp-Name: =?base64?${Buffer.from('safe').toString('base64')}?=`],
    ['Mcp-Name where nothing is named', { ...rpc, method: 'tools/list' }, 'Mcp-Name: safe'],
    ['a malformed Mcp-Name where nothing is named', { ...rpc, method: 'tools/list' }, 'Mcp-Name: =?base64?x?='],
    ['Mcp-Name of another task', { ...rpc, method: 'tasks/get', params: { taskId: 'a' } }, 'Mcp-Name: b'],
    ['a task that is none', { ...call, params: { ...call.params, task: true } }, 'Mcp-Protocol-Version: 2025-11-25'],
    ['Mcp-Method on a response', { ...rpc, result: {} }, 'Mcp-Method: tools/call'],
    [
      'another protocol version',
      { ...rpc, method: 'ping', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } },
      'Mcp-Protocol-Version: 2025-11-25',
    ],
  ])('%s is bad_rpc', async (_what, message, ...lines) => {
    expect(codeOf(await post(message, ...lines))).toBe('bad_rpc');
  });

  it.each(['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","n\\u0061me":"transfer_funds"}}', '{"jsonrpc":"2.0"'])(
    '%s is bad_json',
    async (text) => {
      expect(codeOf(await post(text))).toBe('bad_json');
    },
  );

  it('accepts Mcp-* fields that agree', async () => {
    const named = { ...call, params: { name: 'zahlung_é', _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } };
    const lines = ['Mcp-Method: tools/call', `Mcp-Name: =?base64?${Buffer.from('zahlung_é').toString('base64')}?=`, 'Mcp-Protocol-Version: 2026-07-28'];
    expect(codeOf(await post(named, ...lines))).toBe('accepted');
    expect(codeOf(await post(call, 'Mcp-Name: transfer_funds'))).toBe('accepted');
    expect(codeOf(await post({ ...rpc, method: 'resources/read', params: { uri: 'file:///a' } }, 'Mcp-Name: file:///a'))).toBe('accepted');
  });

  it('refuses origins that are not allowed', async () => {
    expect(codeOf(await post(call, 'Origin: https://evil.example'))).toBe('denied');
    expect(codeOf(await post(call, 'Origin: null'))).toBe('denied');
    expect(codeOf(await post(call, 'Origin: https://ok.example'))).toBe('accepted');
  });

  it('refuses other methods, other paths and other media types', async () => {
    expect(codeOf(await send('PUT /tools', ['Content-Type: application/json'], '{}'))).toBe('method_not_allowed');
    expect(codeOf(await send('GET /tools/other', []))).toBe('not_found');
    expect(codeOf(await send('POST /tools', ['Content-Type: text/plain'], JSON.stringify(call)))).toBe('unsupported_media_type');
    expect(codeOf(await send('POST /tools', []))).toBe('bad_rpc');
    expect(codeOf(await send('DELETE /tools', ['Content-Type: application/json'], '{}'))).toBe('bad_request');
  });
});
