// What an MCP server answered, byte for byte: where the gateway cuts a list, adds a word or joins several servers'
// lists, everything that it does not mean to change comes out as it came in. And answers that are a little off the
// standard, or hostile, are neither lost nor a burden.

import type { ServerResponse } from 'node:http';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import type { RecordedRequest } from '../support/recorder.ts';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly name?: string };
}

/** The text that answers a message, by method; `$id` stands for its number. */
type Answers = Record<string, string>;

/** By path of the upstream. */
const served = { answers: {} as Record<string, Answers>, fields: {} as Record<string, string>, stream: false };

const it = gatewayTest.extend('env', file, async ({ environment }) => {
  const env = await environment(({ origin }) => ({
    upstreams: {
      raw: { url: `${origin}/raw`, protocol: 'mcp' },
      two: { protocol: 'mcp', servers: { a: { url: `${origin}/a` }, b: { url: `${origin}/b`, credential: 'key' } } },
    },
    rules: [
      rule.allow('free', { tool: '*free' }),
      rule.hold('held', { tool: '*held' }),
      rule.allow('asks', { mcp: ['sampling/createMessage'] }),
    ],
  }));
  env.upstream.respond(answer);
  return env;
});

function answer({ url, body }: RecordedRequest, response: ServerResponse): void {
  const message = JSON.parse(body || '{}') as Message;
  const path = url.slice(1);
  const text =
    served.answers[path]?.[message.method ?? ''] ?? `{"jsonrpc":"2.0","id":$id,"result":${result(path, message)}}`;
  const json = text.replaceAll('$id', JSON.stringify(message.id));
  response.writeHead(message.id === undefined ? 202 : 200, {
    'content-type': served.stream ? 'text/event-stream' : 'application/json',
    ...served.fields,
  });
  response.end(message.id === undefined ? '' : served.stream ? `data: ${json}\n\n` : json);
}

const result = (path: string, { method }: Message): string =>
  method === 'initialize'
    ? `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"${path}","version":"1"}}`
    : '{"content":[{"type":"text","text":"done"}]}';

async function post(
  env: Environment,
  mount: string,
  message: object,
  session?: string,
): Promise<{ readonly text: string; readonly session: string | null }> {
  const response = await env.call(`/${mount}`, {
    method: 'POST',
    body: { jsonrpc: '2.0', id: 7, ...message },
    headers: {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
      ...(session && { 'mcp-session-id': session }),
    },
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return {
    text: served.stream && text.startsWith('data:') ? text.slice('data: '.length).trimEnd() : text,
    session: response.headers.get('mcp-session-id'),
  };
}

async function ask(
  env: Environment,
  mount: string,
  method: string,
  given: Partial<{ answers: Record<string, Answers>; fields: Record<string, string>; stream: boolean }>,
  params = {},
) {
  Object.assign(served, { answers: {}, fields: {}, stream: false }, given);
  const session =
    mount === 'two'
      ? (
          await post(env, mount, {
            method: 'initialize',
            params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
          })
        ).session
      : null;
  return (await post(env, mount, { method, params }, session ?? undefined)).text;
}

const CALL = { name: 'free', arguments: {} };
const NUMBERS = '"n":[12345678901234567890,1.0,-0,1e2,0.10,1E+20,9007199254740993]';
const tool = (name: string, more = ''): string =>
  `{"name":"${name}", ${NUMBERS},"inputSchema":{"type":"object","maximum":18446744073709551615}${more}}`;
const list = (tools: readonly string[], more = ''): string =>
  `{"jsonrpc":"2.0","id":$id,"result":{"tools":[${tools.join(',')}]${more}}}`;

// Pins the kind "numbers and bytes that change on the way", wherever the gateway rewrites an answer.
describe.each([false, true])('an answer that is rewritten (in events: %s)', (events) => {
  it('keeps every number of a list that is cut and of tools that get a word', async ({ env }) => {
    const text = await ask(env, 'raw', 'tools/list', {
      stream: events,
      answers: {
        raw: {
          'tools/list': list([tool('free'), tool('none'), tool('held', ',"description":"Pays\\u002e"')], ',"x":1.0'),
        },
      },
    });
    expect(text).toContain(
      `[${tool('free')},{"name":"held", ${NUMBERS},"inputSchema":{"type":"object","maximum":18446744073709551615},"description":"Pays. `,
    );
    expect(text).toMatch(/^\{"jsonrpc":"2\.0","id":7,"result":\{.*\],"x":1\.0\}\}$/);
    expect(text).not.toContain('none');
  });

  it('keeps every number of lists of several servers that are joined under other names', async ({ env }) => {
    const text = await ask(env, 'two', 'tools/list', {
      stream: events,
      answers: {
        a: { 'tools/list': list([tool('free'), tool('none')]) },
        b: { 'tools/list': list([tool('held'), tool('free')]) },
      },
    });
    for (const name of ['a__free', 'b__free']) expect(text).toContain(tool(name));
    expect(text).toContain(`{"name":"b__held", ${NUMBERS},`);
  });

  it('keeps every number of what a server of a shared mount answers with links in it', async ({ env }) => {
    const content = `"content":[{"type":"resource_link","uri":"docs://x", ${NUMBERS}}],"structuredContent":{${NUMBERS}}`;
    const text = await ask(
      env,
      'two',
      'tools/call',
      { stream: events, answers: { a: { 'tools/call': `{"jsonrpc":"2.0","id":$id,"result":{${content}}}` } } },
      { ...CALL, name: 'a__free' },
    );
    expect(text).toContain(`${NUMBERS}}],"structuredContent":{${NUMBERS}}`);
  });

  it('keeps what a server says of itself beside the tasks that the gateway adds', async ({ env }) => {
    const said = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"experimental":{${NUMBERS}}},"serverInfo":{"name":"raw","version":"1"},${NUMBERS}}`;
    const text = await ask(env, 'raw', 'initialize', {
      stream: events,
      answers: { raw: { initialize: `{"jsonrpc":"2.0","id":$id,"result":${said}}` } },
    });
    expect(text).toContain(`"experimental":{${NUMBERS}},"tasks":`);
    expect(text).toContain(`"version":"1"},${NUMBERS}}`);
  });
});

describe('a tool whose definition has no digest', () => {
  it.for(['"n":1E400', '"description":"\\ud800"', '"x":{"\\udc00":1}'])(
    'is left out of the list, and the others are in it: %s',
    async (odd, { env }) => {
      const text = await ask(env, 'raw', 'tools/list', {
        answers: { raw: { 'tools/list': list([`{"name":"odd-free","inputSchema":{},${odd}}`, tool('even-free')]) } },
      });
      expect([text.includes('odd-free'), text.includes('even-free')]).toEqual([false, true]);
    },
  );
});

describe('a request that is put into a server’s words', () => {
  it('keeps its numbers and everything else of its text', async ({ env }) => {
    await ask(env, 'two', 'ping', {});
    const body =
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{ "a":1.0,"b":1e2,"c":"\\u0041" },"name":"a__free"}}';
    const opened = await post(env, 'two', {
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    });
    const response = await env.call('/two', {
      method: 'POST',
      body,
      headers: {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        'mcp-session-id': opened.session ?? '',
      },
    });
    expect(response.status).toBe(200);
    expect(env.upstream.requests.at(-1)?.body).toBe(body.replace('a__free', 'free'));
  });
});

// Pins the kind "words that say nothing turn a done call into an error".
describe('an answer a little off the standard', () => {
  const answered = { raw: { 'tools/call': '\ufeff{"jsonrpc":"2.0","id":$id,"result":{"content":[],"n":1.0}}' } };

  it.for([false, true])('with a byte order mark is the answer without it (in events: %s)', async (events, { env }) => {
    expect(await ask(env, 'raw', 'tools/call', { stream: events, answers: answered }, CALL)).toBe(
      '{"jsonrpc":"2.0","id":7,"result":{"content":[],"n":1.0}}',
    );
  });

  it('with a byte order mark in a list of several servers is in the list', async ({ env }) => {
    const marked = { 'tools/list': `\ufeff${list([tool('free')])}` };
    expect(await ask(env, 'two', 'tools/list', { answers: { a: marked, b: marked } })).toContain(tool('b__free'));
  });

  it.for(['', 'identity', 'Identity, identity', 'utf-8', 'UTF8', 'none', 'null', 'binary', '8bit', 'identity,none'])(
    'with the Content-Encoding "%s" is not a compressed one',
    async (coding, { env }) => {
      const given = {
        fields: { 'content-encoding': coding },
        answers: { raw: { 'tools/list': list([tool('free'), tool('none')]) } },
      };
      expect(await ask(env, 'raw', 'tools/list', given)).toContain(tool('free'));
      // With a credential in the call, whose echo has to be looked for.
      served.answers = {};
      const plain = await env.call('/api/x');
      expect([plain.status, plain.headers.get('proxy-status')]).not.toEqual([502, null]);
    },
  );

  it.for(['"error":null,', '"method":null,', '"params":null,"error":null,'])(
    'with %s beside its result is a result',
    async (absent, { env }) => {
      const text = `{"jsonrpc":"2.0",${absent}"id":$id,"result":{"tools":[${tool('free')},${tool('none')}]}}`;
      const said = await ask(env, 'raw', 'tools/list', { answers: { raw: { 'tools/list': text } } });
      expect([said.includes('free'), said.includes('none')]).toEqual([true, false]);
      expect(
        await ask(env, 'two', 'tools/list', { answers: { a: { 'tools/list': text }, b: { 'tools/list': text } } }),
      ).toContain('b__free');
    },
  );
});

// Pins the kind "another message than the one that was judged", from the server's side.
describe('an answer that a client could read in another way', () => {
  it.for([
    '{"jsonrpc":"2.0","id":$id,"Method":"sampling/createMessage","params":{},"result":{}}',
    '{"jsonrpc":"2.0","id":$id,"methoD":"elicitation/create","result":{}}',
    '{"jsonrpc":"2.0","id":$id,"paramſ":{},"result":{}}',
    '{"jsonrpc":"2.0","id":$id,"reſult":{"tools":[]},"result":{}}',
  ])('does not reach it: %s', async (text, { env }) => {
    expect(await ask(env, 'raw', 'tools/call', { answers: { raw: { 'tools/call': text } } }, CALL)).toContain(
      'upstream_protocol',
    );
  });
});

// Pins the kind "an answer that holds everybody up": what is too deep or too full is not parsed at all.
describe('an answer that would take long to read', () => {
  const N = 400_000;
  it.for<[string, () => string]>([
    ['14 MB of opening brackets', () => '['.repeat(14_000_000)],
    ['opening braces', () => '{"a":'.repeat(2_000_000)],
    [
      'nested more deeply than anything honest',
      () => `{"jsonrpc":"2.0","id":$id,"result":${'['.repeat(200)}${']'.repeat(200)}}`,
    ],
    ['empty objects', () => `{"jsonrpc":"2.0","id":$id,"result":{"a":[${'{},'.repeat(N)}{}]}}`],
    [
      'keys that are all different',
      () => `{"jsonrpc":"2.0","id":$id,"result":{${Array.from({ length: N }, (_, i) => `"k${i}":1`).join(',')}}}`,
    ],
    [
      'texts that are all different',
      () => `{"jsonrpc":"2.0","id":$id,"result":[${Array.from({ length: N }, (_, i) => `"${i}"`).join(',')}]}`,
    ],
  ] as const)('is refused, and the call may have been executed: %s', async ([_what, text], { env }) => {
    for (const events of [false, true]) {
      const said = await ask(
        env,
        'raw',
        'tools/call',
        { stream: events, answers: { raw: { 'tools/call': text() } } },
        CALL,
      );
      expect(said).not.toContain('"result"');
      expect(said).not.toMatch(/nothing was executed/i);
      // In a stream there may be other messages behind it.
      if (!events) expect(said).toContain('upstream_protocol');
    }
  });

  it('is none for being large: a long text and a table pass', async ({ env }) => {
    for (const content of [`"${'x'.repeat(8_000_000)}"`, `[${'{"id":1,"name":"somebody"},'.repeat(40_000)}{}]`]) {
      const said = await ask(
        env,
        'raw',
        'tools/call',
        { answers: { raw: { 'tools/call': `{"jsonrpc":"2.0","id":$id,"result":{"content":[],"x":${content}}}` } } },
        CALL,
      );
      expect(said.length).toBeGreaterThan(1_000_000);
    }
  });
});
