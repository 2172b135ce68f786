import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RawAnswer, sendRaw } from '../support/raw-http.ts';
import { API, classifying, type Seen, startServer, type TestServer } from './server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer(
    classifying(
      { ...API, name: 'tools', basePath: '/mcp', protocol: 'mcp', allowedOrigins: ['https://ok.example'] },
      'stream',
    ),
  );
});

afterAll(() => server.close());

function send(start: string, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return sendRaw(
    server.port,
    [`${start} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, ...length, '', ''].join('\r\n'),
    Buffer.from(body),
  );
}

const post = (message: unknown, ...lines: string[]) =>
  send(
    'POST /tools',
    ['Content-Type: application/json', ...lines],
    typeof message === 'string' ? message : JSON.stringify(message),
  );
const seen = (answer: RawAnswer): Seen => {
  if (answer.status !== 200) throw new Error(answer.text);
  return JSON.parse(answer.body) as Seen;
};
const codeOf = (answer: RawAnswer): unknown =>
  answer.status === 200 ? 'accepted' : (JSON.parse(answer.body) as { code: unknown }).code;

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
      mcp: { method: 'tools/call', id: 7 },
      tool: 'transfer_funds',
      args: { amount: 5 },
      boundHeaders: [
        'accept',
        'application/json, text/event-stream',
        'content-type',
        'application/json',
        'mcp-session-id',
        's1',
      ],
      bodyText: JSON.stringify(call),
      streamed: false,
    });
  });

  it('takes absent arguments for none', async () => {
    expect(seen(await post({ ...call, params: { name: 'ping' } }))).toMatchObject({ tool: 'ping', args: {} });
  });

  it('gives the params of other methods as arguments, and no tool', async () => {
    const action = seen(await post({ ...rpc, id: 'x', method: 'resources/read', params: { uri: 'file:///a' } }));
    expect(action).toMatchObject({ mcp: { method: 'resources/read', id: 'x' }, args: { uri: 'file:///a' } });
    expect(action).not.toHaveProperty('tool');
  });

  it('knows a notification by its missing id', async () => {
    const action = seen(await post({ jsonrpc: '2.0', method: 'notifications/initialized' }));
    expect(action.mcp?.method).toBe('notifications/initialized');
    expect(action.mcp).not.toHaveProperty('id');
  });

  it('shows a response of the client whole', async () => {
    const response = { ...rpc, result: { action: 'accept' } };
    const action = seen(await post(response));
    expect(action.args).toEqual(response);
    expect(action.mcp).toBeDefined();
    expect(action.mcp).not.toHaveProperty('method');
  });

  it.each(['GET', 'DELETE'])('has no message for %s', async (method) => {
    const action = seen(await send(`${method} /tools`, []));
    expect(action).toMatchObject({ method, target: '/mcp', streamed: false });
    expect(action).not.toHaveProperty('mcp');
  });
});

// Pins the kind "null for an optional member": it says the same as absence.
describe('an optional member that is null', () => {
  it.each<[string, object]>([
    ['arguments', { ...call, params: { name: 'transfer_funds', arguments: null } }],
    ['task', { ...call, params: { ...call.params, task: null } }],
    ['_meta', { ...call, params: { ...call.params, _meta: null } }],
    [
      'progressToken',
      { ...call, params: { ...call.params, _meta: { progressToken: null, traceparent: null, tracestate: null } } },
    ],
    [
      'requestState and inputResponses',
      { ...call, params: { ...call.params, requestState: null, inputResponses: null } },
    ],
    ['result and error of a request', { ...call, result: null, error: null }],
    ['params', { ...rpc, method: 'ping', params: null }],
    [
      'the protocol version',
      { ...rpc, method: 'ping', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': null } } },
    ],
    ['the id of a notification', { jsonrpc: '2.0', id: null, method: 'notifications/initialized', params: null }],
    ['error of a result', { ...rpc, result: {}, error: null }],
    ['result of an error', { ...rpc, result: null, error: { code: 1, message: '' } }],
    ['method and params of a response', { ...rpc, method: null, params: null, result: {} }],
    ['the id of an error', { jsonrpc: '2.0', id: null, error: { code: 1, message: '' } }],
  ])('is absent: %s', async (_what, message) => {
    const action = seen(await post(message, 'Mcp-Protocol-Version: 2025-11-25'));
    expect(action.bodyText).toBe(JSON.stringify(message));
    if ('params' in message && message.params !== null && action.tool !== undefined)
      expect(Object.keys(action.args as object).length).toBeLessThan(2);
    expect(action.mcp).not.toHaveProperty('task');
    expect(action.mcp?.continues).toBe(false);
  });

  it('does not make another call of it', async () => {
    const without = seen(await post({ ...rpc, method: 'ping' }));
    expect(seen(await post({ ...rpc, method: 'ping', params: null }))).toMatchObject({
      mcp: { method: 'ping', id: without.mcp?.id },
    });
  });
});

// Pins the kind "a member under a spelling that some server takes for the known one", alone or beside it.
describe('a member in another spelling than the specification has', () => {
  const { params } = call;
  it.each<[string, string, object]>([
    ['arguments with a long s, beside it', 'bad_rpc', { ...call, params: { ...params, argumentſ: { amount: 9 } } }],
    ['arguments with a long s, alone', 'bad_rpc', { ...call, params: { name: 'a', argumentſ: {} } }],
    ['fullwidth name', 'bad_rpc', { ...call, params: { ...params, ｎame: 'b' } }],
    ['a zero width space in name', 'bad_rpc', { ...call, params: { ...params, 'na​me': 'b' } }],
    ['_META', 'bad_rpc', { ...call, params: { ...params, _META: {} } }],
    ['a long s in task', 'bad_rpc', { ...call, params: { ...params, taſk: {} } }],
    ['requeststate', 'bad_rpc', { ...call, params: { ...params, requeststate: 'x' } }],
    ['Uri of a resource', 'bad_rpc', { ...rpc, method: 'resources/read', params: { Uri: 'file:///a' } }],
    ['TaskId', 'bad_rpc', { ...rpc, method: 'tasks/get', params: { TaskID: 'a' } }],
    [
      'the name of a reference',
      'bad_rpc',
      { ...rpc, method: 'completion/complete', params: { ref: { type: 'ref/prompt', Name: 'a' } } },
    ],
    ['progresstoken', 'bad_rpc', { ...call, params: { ...params, _meta: { progresstoken: 1 } } }],
    [
      'the protocol version',
      'bad_rpc',
      { ...call, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolversion': '2026-07-28' } } },
    ],
    ['method with a dotless i beside others', 'bad_rpc', { ...call, ıd: 8 }],
    ['params with a long s', 'bad_rpc', { ...call, paramſ: {} }],
    [
      'two arguments that differ in case',
      'bad_json',
      { ...call, params: { name: 'a', arguments: { amount: 1, Amount: 2 } } },
    ],
    [
      'two arguments that differ in width',
      'bad_json',
      { ...call, params: { name: 'a', arguments: { x: [{ to: 1, ｔo: 2 }] } } },
    ],
    ['two members of _meta', 'bad_json', { ...call, params: { ...params, _meta: { 'x/a': 1, 'X/a': 2 } } }],
    ['two members of a response', 'bad_json', { ...rpc, result: { action: 'decline', Action: 'accept' } }],
  ])('is refused: %s', async (_what, code, message) => expect(codeOf(await post(message))).toBe(code));

  it('passes and is bound where no server takes it for another', async () => {
    const message = { ...call, params: { ...params, argument_s: 1, x: 2 } };
    expect(seen(await post(message)).bodyText).toBe(JSON.stringify(message));
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

  it.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","n\\u0061me":"transfer_funds"}}',
    '{"jsonrpc":"2.0"',
  ])('%s is bad_json', async (text) => {
    expect(codeOf(await post(text))).toBe('bad_json');
  });

  it('accepts Mcp-* fields that agree', async () => {
    const named = {
      ...call,
      params: { name: 'zahlung_é', _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
    };
    const lines = [
      'Mcp-Method: tools/call',
      `Mcp-Name: =?base64?${Buffer.from('zahlung_é').toString('base64')}?=`,
      'Mcp-Protocol-Version: 2026-07-28',
    ];
    expect(codeOf(await post(named, ...lines))).toBe('accepted');
    expect(codeOf(await post(call, 'Mcp-Name: transfer_funds'))).toBe('accepted');
    expect(
      codeOf(await post({ ...rpc, method: 'resources/read', params: { uri: 'file:///a' } }, 'Mcp-Name: file:///a')),
    ).toBe('accepted');
  });

  it('refuses origins that are not allowed', async () => {
    expect(codeOf(await post(call, 'Origin: https://evil.example'))).toBe('denied');
    expect(codeOf(await post(call, 'Origin: null'))).toBe('denied');
    expect(codeOf(await post(call, 'Origin: https://ok.example'))).toBe('accepted');
  });

  it('refuses other methods, other paths and other media types', async () => {
    expect(codeOf(await send('PUT /tools', ['Content-Type: application/json'], '{}'))).toBe('method_not_allowed');
    expect(codeOf(await send('GET /tools/other', []))).toBe('not_found');
    expect(codeOf(await send('POST /tools', ['Content-Type: text/plain'], JSON.stringify(call)))).toBe(
      'unsupported_media_type',
    );
    expect(codeOf(await send('POST /tools', []))).toBe('bad_rpc');
    expect(codeOf(await send('DELETE /tools', ['Content-Type: application/json'], '{}'))).toBe('bad_request');
  });
});
