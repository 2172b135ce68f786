// Kind: a fault between the head of an upstream's answer and the agent's first byte. The tool has run by then, so an
// MCP client has to be told by the protocol's own error over HTTP 200 that the call may have taken effect; a cut
// connection or an HTTP error would tell its model nothing. On single and on shared mounts, with and without a
// credential to look for.

import type { ServerResponse } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const MOUNTS = {
  single: '/one',
  'single with a credential': '/sealed',
  'shared with a credential': '/sealed-many',
} as const;
const JSON_TYPE = { 'content-type': 'application/json' };
const EVENTS = { 'content-type': 'text/event-stream' };

const rpc = { lastId: 0 };

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(({ origin }) => ({
    upstreams: {
      one: { url: `${origin}/mcp`, protocol: 'mcp' },
      sealed: { url: `${origin}/mcp`, protocol: 'mcp', credential: 'key' },
      'sealed-many': { protocol: 'mcp', servers: { a: { url: `${origin}/mcp`, credential: 'key' } } },
    },
    rules: [rule.allow('all', { tool: '*' })],
  })),
);

interface Told {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: read by its path
  readonly json: any;
}

/** Calls the tool once, as a client of 2026-07-28, and says what came back. `answer` is how the upstream answers. */
async function use(
  env: Environment,
  mount: string,
  answer: (response: ServerResponse, rpcId: number) => void,
): Promise<Told> {
  const rpcId = ++rpc.lastId;
  const before = env.upstream.requests.length;
  env.upstream.respond((_request, response) => answer(response, rpcId));
  const version = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const response = await env.call(mount, {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28' },
    body: {
      jsonrpc: '2.0',
      id: rpcId,
      method: 'tools/call',
      params: { name: mount.includes('many') ? 'a__tool' : 'tool', arguments: {}, _meta: version },
    },
  });
  const text = await response.text();
  expect(env.upstream.requests).toHaveLength(before + 1);
  const type = response.headers.get('content-type') ?? '';
  const data = type.startsWith('text/event-stream')
    ? (text.match(/^data: (.+)$/gm)?.at(-1) ?? 'data: null').slice(6)
    : text;
  return { status: response.status, type, text, json: JSON.parse(data) };
}

const result = (rpcId: number, text = 'done') =>
  JSON.stringify({ jsonrpc: '2.0', id: rpcId, result: { content: [{ type: 'text', text }] } });
const event = (rpcId: number) => `data: ${result(rpcId)}\n\n`;
const progress = 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n';

type Way = (response: ServerResponse, rpcId: number) => void;
const whole =
  (headers: Record<string, string>, body: (rpcId: number) => string | Buffer, status = 200): Way =>
  (response, rpcId) =>
    void response.writeHead(status, headers).end(body(rpcId));

const CODINGS: readonly (readonly [string, string, (body: string) => Buffer])[] = [
  ['gzip', 'gzip', gzipSync],
  ['x-gzip in capitals', 'X-GZIP', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['br', 'br', brotliCompressSync],
  ['zstd', 'zstd', zstdCompressSync],
  ['two codings', 'gzip, br', (body) => brotliCompressSync(gzipSync(body))],
  ['identity before gzip', 'identity, gzip', gzipSync],
];
/** Larger than any answer that is read, whatever its number is. */
const LARGE = result(0, '0'.repeat(17 * 1024 * 1024));
const BOMBS = {
  gzip: gzipSync(LARGE),
  br: brotliCompressSync(LARGE),
  zstd: zstdCompressSync(LARGE),
  events: gzipSync(`data: ${LARGE}\n\n`),
};

describe.each(Object.entries(MOUNTS))('on a mount that is %s', (_which, mount) => {
  describe.each(CODINGS)('an answer in %s, which nobody asked for', (_name, coding, encode) => {
    it.for([
      ['JSON', JSON_TYPE, result],
      ['a stream of events', EVENTS, event],
    ] as const)('is read as %s', async ([_form, type, body], { env }) => {
      const told = await use(
        env,
        mount,
        whole({ ...type, 'content-encoding': coding }, (rpcId) => encode(body(rpcId))),
      );
      expect([told.status, told.json.result?.content]).toEqual([200, [{ type: 'text', text: 'done' }]]);
    });
  });

  it.for<[string, Way]>([
    ['is no longer JSON half-way', whole(JSON_TYPE, (rpcId) => result(rpcId).slice(0, -5))],
    ['is a list of messages', whole(JSON_TYPE, (rpcId) => `[${result(rpcId)}]`)],
    ['is JSON and no message', whole(JSON_TYPE, () => '{"ok":true}')],
    ['is a text in JSON', whole(JSON_TYPE, () => '"done"')],
    ['answers another request', whole(JSON_TYPE, (rpcId) => result(rpcId + 1_000))],
    ['answers another request in a stream', whole(EVENTS, (rpcId) => event(rpcId + 1_000))],
    ['leads nowhere', whole({}, () => '', 307)],
    ['leads to where the agent cannot go', whole({ location: 'http://10.0.0.5/mcp' }, () => '', 308)],
    ['answers a condition that nobody set', whole({}, () => '', 304)],
    ['is the challenge of a proxy', whole({ 'proxy-authenticate': 'Basic' }, () => '<h1>Proxy</h1>', 407)],
    [
      'is labelled as UTF-16, and is no message',
      whole({ 'content-type': 'application/json; charset=utf-16le' }, (rpcId) => Buffer.from(result(rpcId), 'utf16le')),
    ],
    ['is empty', whole(JSON_TYPE, () => '')],
    ['is empty and has no type', whole({}, () => '')],
    ['has no content', whole({}, () => '', 204)],
    ['only accepts the request', whole({}, () => '', 202)],
    ['is a page', whole({ 'content-type': 'text/html' }, () => '<h1>Welcome</h1>')],
    ['is a text', whole({ 'content-type': 'text/plain' }, () => 'done')],
    ['has no type', whole({}, (rpcId) => result(rpcId))],
    ['is an error page', whole({ 'content-type': 'text/html' }, () => '<h1>Bad gateway</h1>', 502)],
    ['is an error of a framework', whole(JSON_TYPE, () => '{"message":"Internal Server Error"}', 500)],
    ['is an error without a body', whole({}, () => '', 503)],
    ['is larger than is read', whole(JSON_TYPE, () => LARGE)],
    ['has an event that is larger than is read', whole(EVENTS, () => `data: ${LARGE}\n\n`)],
    ['is a bomb of gzip', whole({ ...JSON_TYPE, 'content-encoding': 'gzip' }, () => BOMBS.gzip)],
    ['is a bomb of br', whole({ ...JSON_TYPE, 'content-encoding': 'br' }, () => BOMBS.br)],
    ['is a bomb of zstd', whole({ ...JSON_TYPE, 'content-encoding': 'zstd' }, () => BOMBS.zstd)],
    ['is a bomb inside a bomb', whole({ ...JSON_TYPE, 'content-encoding': 'gzip, gzip' }, () => gzipSync(BOMBS.gzip))],
    ['is a bomb of events', whole({ ...EVENTS, 'content-encoding': 'gzip' }, () => BOMBS.events)],
    [
      'is cut within its coding',
      whole({ ...JSON_TYPE, 'content-encoding': 'gzip' }, (rpcId) => gzipSync(result(rpcId)).subarray(0, 20)),
    ],
    [
      'is not what its coding says',
      whole({ ...JSON_TYPE, 'content-encoding': 'br' }, (rpcId) => gzipSync(result(rpcId))),
    ],
    ['is plain under a coding', whole({ ...JSON_TYPE, 'content-encoding': 'zstd' }, (rpcId) => result(rpcId))],
    [
      'has a coding that nobody knows',
      whole({ ...JSON_TYPE, 'content-encoding': 'compress' }, (rpcId) => result(rpcId)),
    ],
    [
      'has three codings',
      whole({ ...JSON_TYPE, 'content-encoding': 'gzip, gzip, gzip' }, (rpcId) =>
        gzipSync(gzipSync(gzipSync(result(rpcId)))),
      ),
    ],
    [
      'breaks off behind its head',
      (response) =>
        void response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{', () => response.destroy()),
    ],
    [
      'breaks off in a chunk',
      (response, rpcId) =>
        void response.writeHead(200, JSON_TYPE).write(result(rpcId).slice(0, 20), () => response.destroy()),
    ],
    [
      'breaks off before its first event',
      (response) => void response.writeHead(200, EVENTS).write(': \n\n', () => response.destroy()),
    ],
    [
      'breaks off behind an event that is not the answer',
      (response) => void response.writeHead(200, EVENTS).write(progress, () => response.destroy()),
    ],
    ['ends without an answer', whole(EVENTS, () => progress)],
    ['ends at once', whole(EVENTS, () => '')],
  ] as const)('an answer that %s becomes the protocol’s own error', async ([_what, how], { env }) => {
    const told = await use(env, mount, how);
    expect([told.status, told.json]).toMatchObject([200, { jsonrpc: '2.0', id: rpc.lastId }]);
    // A fault of the exchange is the tool's result, as every refusal of a tool call; what stands in place of an answer
    // is JSON-RPC's error.
    const { error, result } = told.json;
    const text = error?.message ?? result?.content[0].text;
    expect([error?.data.code ?? result?._meta['countersign/code'], result?.isError ?? true]).toEqual([
      expect.stringMatching(/^upstream_(protocol|aborted)$/),
      true,
    ]);
    expect(text.match(/may have taken effect/g)).toHaveLength(1);
    expect(told.text).not.toMatch(/nothing was executed/i);
    expect(told.type).not.toMatch(/charset=(?!utf-8)/);
  });

  // Clients read such a number; a mount that servers share has numbers of its own.
  it.skipIf(mount.includes('many'))('an answer whose number came back as a text is the answer', async ({ env }) => {
    const told = await use(
      env,
      mount,
      whole(JSON_TYPE, (rpcId) => JSON.stringify({ jsonrpc: '2.0', id: String(rpcId), result: { content: [] } })),
    );
    expect([told.status, told.json.result]).toEqual([200, { content: [] }]);
  });

  it('a stream that can be resumed is cut, so that its client resumes it', async ({ env }) => {
    const cut = use(
      env,
      mount,
      (response) => void response.writeHead(200, EVENTS).write(`id: 1\n${progress}`, () => response.destroy()),
    );
    await expect(cut).rejects.toThrow(/terminated|other side closed|fetch failed/);
  });

  it('the record and the log say what the agent got, and what the upstream answered', async ({ env }) => {
    await use(
      env,
      mount,
      whole({ 'content-type': 'text/html' }, () => 'no', 502),
    );
    const lines = () => env.log.filter(({ event, tool }) => event === 'countersign.call.completed' && tool === 'tool');
    await expect.poll(() => lines().at(-1)).toMatchObject({ status: 200, upstream_status: 502 });
  });
});
