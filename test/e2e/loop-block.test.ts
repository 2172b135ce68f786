// No single message stalls the gateway: for each limit the worst input that fits, against rules of every kind, while
// another thread asks /livez. Pins the kind of fault in which an agent, a server or a stranger chooses a cost that
// grows faster than what it sends. The target is 100 ms; the bound here leaves room for a busy machine, and is far
// below what backtracking or quadratic work takes on such inputs.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';

const BOUND_MS = 2_000;
const MIB = 1024 * 1024;

/** Asks /livez without pause, and tells the longest wait since it was asked last. */
const PROBE = `
const { parentPort, workerData } = require('node:worker_threads');
const { Agent, get } = require('node:http');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let longest = 0, since = performance.now(), stopped = false;
parentPort.on('message', (what) => {
  if (what === 'stop') { stopped = true; return; }
  parentPort.postMessage(Math.max(longest, performance.now() - since)); longest = 0;
});
(function ask() {
  if (stopped) { agent.destroy(); return parentPort.close(); }
  since = performance.now();
  get({ port: workerData, path: '/livez', agent }, (response) => {
    response.resume().on('end', () => { longest = Math.max(longest, performance.now() - since); setTimeout(ask, 2); });
  }).on('error', () => setTimeout(ask, 50));
})();`;

/** What the MCP server answers. */
const mcp = { answer: '' };
const server = createServer((incoming, response) => {
  incoming.resume().on('end', () => response.setHeader('content-type', 'application/json').end(mcp.answer));
});

const it = gatewayTest
  .extend('env', file, async ({ environment, closes }) => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const env = await environment({
      upstreams: {
        tools: {
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          protocol: 'mcp',
          credential: 'key',
        },
      },
      rules: [
        rule.allow('any', { upstream: 'api' }),
        rule.deny('stars', { upstream: 'api', path: '/p/*/q/*/q/*/r' }),
        rule.deny('slugs', { upstream: 'api', path: '/s/:slug((?:[a-z0-9]+-?)+)' }),
        rule.deny(
          'pairs',
          { upstream: 'api', methods: ['POST'], path: '/pairs' },
          { when: 'args.items.exists(x, args.items.filter(y, y == x).size() > 1)' },
        ),
        rule.deny(
          'pattern',
          { upstream: 'api', methods: ['POST'], path: '/pattern' },
          { when: 'args.text.matches("^(a+)+$") || args.text.matches("(x+x+)+y")' },
        ),
        rule.deny(
          'keys',
          { upstream: 'api', methods: ['POST'], path: '/keys' },
          { when: 'args.all(k, k.size() < 100) && args.exists(k, k == "none")' },
        ),
        rule.deny(
          'names',
          { upstream: 'api', methods: ['POST'], path: '/names' },
          { when: 'has(args.some) || has(args.other) || "third" in args' },
        ),
        rule.deny('query', { upstream: 'api', path: '/query' }, { when: 'request.query.exists(k, k == "none")' }),
        rule.deny('fields', { upstream: 'api', path: '/fields' }, { when: 'request.headers.exists(k, k == "none")' }),
        rule.deny('deletes', { upstream: 'api', methods: ['DELETE'] }),
        rule.hold('held', { upstream: 'api', methods: ['POST'], path: '/held' }),
        rule.allow('tools', { upstream: 'tools' }, { when: '!has(args.items) || args.items.all(x, x != "none")' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 1000 },
    });
    await closes({
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    });
    return env;
  })
  .extend('probe', file, async ({ env, closes }) => {
    const probe = new Worker(PROBE, { eval: true, workerData: env.ports.ops });
    await closes({
      close: async () => {
        probe.postMessage('stop');
        await once(probe, 'exit');
      },
    });
    return probe;
  });

async function longestBlock(probe: Worker): Promise<number> {
  probe.postMessage('tell');
  return ((await once(probe, 'message')) as [number])[0];
}

/** What is asked is answered somehow, and meanwhile nobody waits. */
async function blocksNobody(probe: Worker, ask: () => Promise<unknown>): Promise<void> {
  await longestBlock(probe);
  await ask();
  expect(await longestBlock(probe)).toBeLessThan(BOUND_MS);
}

const post =
  (path: string, body: string, type = 'application/json') =>
  async (env: Environment) =>
    (await env.call(path, { method: 'POST', body, headers: { 'content-type': type } })).arrayBuffer();
const raw =
  (target: string, ...fields: readonly string[]) =>
  async (env: Environment) =>
    sendRaw(
      env.ports.agents,
      `GET ${target} HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nAuthorization: Bearer ${await env.token('agent-1')}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`,
    );
const many = (count: number, item: (n: number) => string, separator = ','): string =>
  Array.from({ length: count }, (_, n) => item(n)).join(separator);
const fill = (piece: string, size = MIB - 4_096): string => piece.repeat(Math.floor(size / piece.length));

const requests: Readonly<Record<string, (env: Environment) => Promise<unknown>>> = {
  'a path that stars could match in many ways': raw(`/api/p${fill('/x/q', 14_000)}/x`),
  'a path that a group could match in many ways': raw(`/api/s/${fill('a', 14_000)}!`),
  'a path of many segments': raw(`/api${fill('/a', 14_000)}`),
  'a path of escapes': raw(`/api/${fill('%61', 14_000)}`),
  'a query of many parameters': raw(`/api/query?${fill('a&', 14_000)}`),
  'a query of many names': raw(`/api/query?${many(1_500, (n) => `k${n}=1`, '&')}`),
  'a query of escapes': raw(`/api/query?a=${fill('%f0%9f%98%80', 14_000)}`),
  'as many fields as may be': raw('/api/fields', ...Array.from({ length: 120 }, (_, n) => `X-${n}: ${'v'.repeat(90)}`)),
  'a field of many items': raw('/api/fields', `Prefer: ${fill('a="\\"",', 13_000)}`),
  'many nominated fields': raw('/api/fields', `Connection: ${fill('x,', 13_000)}`),
  'a WebSocket handshake that offers much': raw(
    '/api/fields',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Extensions: ${fill('a;b="c";', 13_000)}`,
  ),
  'a token of many dots': async (env) =>
    env.call('/api/x', { headers: { authorization: `Bearer ${fill('a.', 13_000)}` } }),
  'a token of deep claims': async (env) =>
    env.call('/api/x', {
      headers: {
        authorization: `Bearer eyJhbGciOiJFUzI1NiJ9.${Buffer.from(fill('[', 8_000)).toString('base64url')}.AAAA`,
      },
    }),
  'many requests at once on one connection': async (env) =>
    sendRaw(
      env.ports.agents,
      `${'GET /api/x HTTP/1.1\r\nHost: gw.test\r\n\r\n'.repeat(200)}GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n`,
    ),
};

const bodies: Readonly<Record<string, string>> = {
  'brackets without end': fill('['),
  'deep objects': fill('{"a":'),
  'many members': `{${many(60_000, (n) => `"k${n}":${n}`)}}`,
  'members that differ by case at the end': `{${many(20_000, (n) => `"${'k'.repeat(20)}${n}":1`)},"A":1,"a":1}`,
  'members of which the names begin alike': `{${many(4_000, (n) => `"${'a'.repeat(200)}${n}":1`)}}`,
  'one name of a megabyte': `{"${fill('k')}":1}`,
  escapes: `{"text":"${fill('\\u0041')}"}`,
  quotes: `{"text":"${fill('\\"')}"}`,
  'a long number': `{"n":${fill('1', 500_000)}}`,
  'many numbers': `{"items":[${many(120_000, (n) => String(n))}]}`,
  'pairs to compare': `{"items":[${many(14_000, (n) => String(n))}]}`,
  'strings to compare': `{"items":[${many(1_000, (n) => `"${'a'.repeat(800)}${n}"`)}]}`,
  'text that a pattern could match in many ways': `{"text":"${fill('a')}!"}`,
  'text that another could match in many ways': `{"text":"${fill('x')}"}`,
  'marks that combine in an order that is none': `{"a${fill('\u0301\u0327', MIB / 2 - 4_096)}":1,"A":1}`,
  'many names that grow when they are normalised': `{${many(20_000, (n) => `"\ufdfa\u3300${n}":1`)}}`,
  'text that looks like other text': `{"text":"${fill('\u0430\u200b\u202e', 300_000)}"}`,
};
const forms: Readonly<Record<string, readonly [type: string, body: string]>> = {
  'a form of many names': ['application/x-www-form-urlencoded', fill('a&')],
  'a form of escapes': ['application/x-www-form-urlencoded', fill('%5f')],
  'a form that nearly overrides': ['application/x-www-form-urlencoded', fill('%20%20_metho=1&')],
  'parts without end': [
    'multipart/form-data; boundary=b',
    fill('--b\r\nContent-Disposition: form-data; name="_metho"\r\n\r\nx\r\n'),
  ],
  'a boundary that nearly comes': ['multipart/form-data; boundary=bbbbbbbb', fill('\r\n--bbbbbbb')],
};

it.for(Object.entries(requests))('a request with %s', ([_what, ask], { env, probe }) =>
  blocksNobody(probe, () => ask(env)),
);

describe.each(['/pairs', '/pattern', '/keys', '/names', '/held', '/streamed'])('a body to /api%s', (path) => {
  it.for(Object.entries(bodies))('of %s', ([_what, body], { env, probe }) =>
    blocksNobody(probe, () => post(`/api${path}`, body)(env)),
  );
});

it.for(Object.entries(forms))('a body that is %s', ([_what, [type, body]], { env, probe }) =>
  blocksNobody(probe, () => post('/api/streamed', body, type)(env)),
);

describe('what is held', () => {
  it('is listed and shown to reviewers, each at the size limit', { timeout: 60_000 }, async ({ env, probe }) => {
    const alice = await env.reviewer('alice');
    for (const body of Object.values(bodies))
      await (await env.call('/api/held', { method: 'POST', body, as: 'agent-2' })).arrayBuffer();
    const holds = await alice.list();
    expect(holds.length).toBeGreaterThan(5);
    await blocksNobody(probe, () => alice.list('all'));
    for (const { id } of holds) await blocksNobody(probe, () => alice.show(id));
  });

  it('is a task of many words', async ({ env, probe }) => {
    const words = {
      objective: fill('\u0430 ', 8_000),
      plan: Array.from({ length: 20 }, () => fill('x ', 1_000)),
      labels: Array.from({ length: 10 }, (_, n) => `l${n}`),
    };
    await blocksNobody(probe, async () =>
      (await env.call('/countersign/v1/tasks', { method: 'POST', body: words })).arrayBuffer(),
    );
    await blocksNobody(probe, () => post('/countersign/v1/tasks', `{"objective":${fill('[')}`)(env));
  });
});

describe('an MCP', () => {
  const call = (args: string): string =>
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":${args}}}`;
  const send = (env: Environment, body: string) => async () =>
    (
      await env.call('/tools', { method: 'POST', body, headers: { accept: 'application/json, text/event-stream' } })
    ).arrayBuffer();

  it.for(Object.entries(bodies))('message with %s', ([_what, body], { env, probe }) => {
    mcp.answer = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';
    return blocksNobody(probe, send(env, call(body)));
  });

  const answers: Readonly<Record<string, string>> = {
    'brackets without end': fill('[', 14 * MIB),
    'deep objects': fill('{"a":', 14 * MIB),
    'many tools': `{"jsonrpc":"2.0","id":1,"result":{"tools":[${many(20_000, (n) => `{"name":"t${n}","inputSchema":{}}`)}]}}`,
    'a long text': `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"${fill('a', 8 * MIB)}"}]}}`,
    quotes: `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"${fill('\\"', 8 * MIB)}"}]}}`,
  };
  it.for(Object.entries(answers))(
    'server’s answer of %s',
    { timeout: 60_000 },
    async ([_what, text], { env, probe }) => {
      mcp.answer = text;
      await blocksNobody(probe, send(env, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'));
      await blocksNobody(probe, send(env, call('{}')));
    },
  );
});
