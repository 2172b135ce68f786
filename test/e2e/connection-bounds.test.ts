// Nobody takes every connection: neither one agent, whatever it does with its calls, nor a client that proves nothing.
// The gateway runs with few descriptors, so that whoever gets them all shuts out everybody else. Pins the kind of fault
// in which cost per client has no bound.

import { once } from 'node:events';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect } from 'vitest';
import { WebSocketServer } from 'ws';
import { type GivenConfig, type Rules, rule } from '../support/config.ts';
import type { Environment, EnvironmentOptions } from '../support/environment.ts';
import { file, freshGatewayTest, gatewayTest } from '../support/gateway-test.ts';

const OPEN_FILES = 224;
/** More than the process could have open. */
const FLOOD = 300;

const RULES: Rules = [
  rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
  rule.allow('uploads', { upstream: 'api', methods: ['PUT'] }),
  rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
];

const closing: (() => unknown)[] = [];

type Start = (config?: GivenConfig) => Promise<Environment>;
const withFewFiles =
  (environment: (given: GivenConfig, options: EnvironmentOptions) => Promise<Environment>): Start =>
  (config = {}) =>
    environment({ ...config, rules: [...RULES, ...(config.rules ?? [])] }, { openFiles: OPEN_FILES });

/** Each test has a gateway of its own. */
const freshIt = freshGatewayTest.extend('start', ({ environment }) => withFewFiles(environment));

const it = gatewayTest
  .extend('start', file, ({ environment }) => withFewFiles(environment))
  .extend('bare', file, ({ start }) => start())
  .extend('slow', file, async ({ start, closes }) => {
    const live = await closes(new WebSocketServer({ host: '127.0.0.1', port: 0 }));
    await once(live, 'listening');
    const env = await start({
      upstreams: {
        live: { url: `http://127.0.0.1:${(live.address() as AddressInfo).port}`, credential: 'key', websocket: true },
      },
      rules: [rule.allow('sockets', { upstream: 'live', upgrade: true })],
      limits: { wait: '20s', pendingPerAgent: 500 },
    });
    env.upstream.respond(({ url }, response) => {
      if (url === '/quick') response.end('{}');
      if (url === '/events') response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n');
    });
    return env;
  });

afterEach(async () => {
  for (let close = closing.pop(); close !== undefined; close = closing.pop()) await close();
});

/** A connection that says this, and reads what comes back unless told otherwise. */
async function open(
  port: number,
  bytes: string,
  reads = true,
): Promise<{ readonly socket: Socket; readonly heard: () => string }> {
  const socket = connect(port, '127.0.0.1');
  closing.push(() => socket.destroy());
  let heard = '';
  socket.on('error', () => {});
  if (reads)
    socket.on('data', (chunk) => {
      heard += chunk;
    });
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  if (bytes !== '') socket.write(bytes);
  return { socket, heard: () => heard };
}

async function flood(port: number, bytes: string, count = FLOOD): Promise<void> {
  for (let n = 0; n < count; n += 50) await Promise.all(Array.from({ length: 50 }, () => open(port, bytes, false)));
}

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

const get = async (env: Environment, path: string, as: string, more = ''): Promise<string> =>
  `GET ${path} HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer ${await env.token(as)}\r\n${more}\r\n`;

/** Everybody else is served: another agent, the operators, and a reviewer who uses the kill switch's plane. */
async function othersAreServed(env: Environment): Promise<void> {
  const { ops } = env.ports;
  expect((await fetch(`http://127.0.0.1:${ops}/livez`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${ops}/readyz`)).status).toBe(200);
  const alice = await env.reviewer('alice');
  expect((await alice.request('/holds')).status).toBe(200);
  const answer = await env.call('/api/quick', { as: 'agent-2' });
  expect({ status: answer.status, body: await answer.text() }).toMatchObject({ status: 200 });
}

/** The id of a hold of agent-1's that nobody decides on. */
async function openHold(env: Environment): Promise<string> {
  const pending = await env.transfer({ to: 'acme' }, { headers: { prefer: 'wait=0' } });
  return pending.headers.get('countersign-hold') ?? '';
}

interface Outcome {
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly retryAfter?: string | undefined;
}

/** One call over a connection of its own; resolves with its refusal, or never. */
async function refusalOf(
  env: Environment,
  path: string,
  as: string,
  { method = 'GET', body, port = env.ports.agents }: { method?: string; body?: string; port?: number } = {},
): Promise<Outcome> {
  const sent = request({ host: '127.0.0.1', port, path, method, agent: new Agent({ keepAlive: true }) });
  closing.push(() => sent.destroy());
  sent.on('error', () => {});
  sent.setHeader('authorization', `Bearer ${await env.token(as)}`);
  sent.setHeader('content-type', 'application/json');
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const said = await text(response);
  return {
    status: response.statusCode,
    code: (JSON.parse(said) as { code?: string }).code,
    retryAfter: response.headers['retry-after'],
  };
}

const TOO_MANY: Outcome = { status: 429, code: 'too_many_calls', retryAfter: '1' };

describe('one agent', () => {
  freshIt(
    'that sends thousands of slow calls ahead on one connection has few of them under way, and its answers in order',
    async ({ start }) => {
      const env = await start();
      const waiting: ServerResponse[] = [];
      env.upstream.respond(({ url }, response) => {
        if (url === '/quick') response.end('{}');
        else waiting.push(response);
      });
      const requests = await Promise.all(
        Array.from({ length: 2_500 }, (_, n) => get(env, `/api/slow/${n}`, 'agent-1')),
      );
      const { heard } = await open(env.ports.agents, requests.join(''));
      await env.upstream.arrived(0);
      await othersAreServed(env);
      expect(env.upstream.requests.filter(({ url }) => url.startsWith('/slow')).map(({ url }) => url)).toEqual([
        '/slow/0',
      ]);
      for (let n = 0; n < 3; n++) {
        await expect.poll(() => waiting.length).toBe(n + 1);
        waiting[n]?.end(`"answer ${n}"`);
      }
      await expect.poll(heard).toMatch(/"answer 0".*"answer 1".*"answer 2"/s);
    },
  );

  freshIt(
    'is told that it has too many calls under way, with the time after which to try again, and can go on when some have ended',
    async ({ start }) => {
      const env = await start({ limits: { wait: '20s', callsPerAgent: 3 } });
      const waiting: ServerResponse[] = [];
      env.upstream.respond(({ url }, response) => void (url === '/slow' ? waiting.push(response) : response.end('{}')));
      for (let n = 0; n < 3; n++) await open(env.ports.agents, await get(env, '/api/slow', 'agent-1'));
      await env.upstream.arrived(2);
      expect(await refusalOf(env, '/api/quick', 'agent-1')).toEqual(TOO_MANY);
      // Its own endpoints count with its calls.
      expect(await refusalOf(env, '/countersign/v1/tasks', 'agent-1')).toEqual(TOO_MANY);
      expect((await env.call('/api/quick', { as: 'agent-2' })).status).toBe(200);
      expect(env.upstream.requests).toHaveLength(4);
      waiting[0]?.end('{}');
      await expect.poll(async () => (await env.call('/api/quick')).status).toBe(200);
    },
  );

  freshIt('counts calls that wait for people', async ({ start }) => {
    const env = await start({ limits: { wait: '20s', callsPerAgent: 2 } });
    for (let n = 0; n < 2; n++)
      refusalOf(env, '/api/transfers', 'agent-1', { method: 'POST', body: `{"n":${n}}` }).catch(() => {});
    const alice = await env.reviewer('alice');
    await expect
      .poll(async () => ((await (await alice.request('/holds')).json()) as { holds: unknown[] }).holds.length)
      .toBe(2);
    expect(await refusalOf(env, '/api/transfers', 'agent-1', { method: 'POST', body: '{"n":3}' })).toEqual(TOO_MANY);
  });
});

describe('one agent that opens a connection for each of many', () => {
  const kinds: Readonly<Record<string, (env: Environment) => Promise<string>>> = {
    'calls that the upstream does not answer': (env) => get(env, '/api/slow', 'agent-1'),
    'event streams': (env) => get(env, '/api/events', 'agent-1'),
    'uploads that stop half-way': async (env) =>
      `${(await get(env, '/api/upload', 'agent-1', 'Content-Length: 10000000\r\n')).replace('GET', 'PUT')}${'x'.repeat(70_000)}`,
    'calls that wait for people': async (env) =>
      `${(await get(env, '/api/transfers', 'agent-1', 'Content-Type: application/json\r\nContent-Length: 2\r\n')).replace('GET', 'POST')}{}`,
    'questions about a hold': async (env) =>
      get(env, `/countersign/v1/holds/${await openHold(env)}`, 'agent-1', 'Prefer: wait=20\r\n'),
    WebSockets: (env) => get(env, '/live/', 'agent-1', UPGRADE),
  };

  it.for(Object.entries(kinds))(
    '%s leaves the others theirs',
    { timeout: 60_000 },
    async ([_what, bytes], { slow: env }) => {
      await flood(env.ports.agents, await bytes(env));
      await othersAreServed(env);
    },
  );
});

describe('clients that prove nothing', () => {
  const strangers: Readonly<Record<string, string>> = {
    nothing: '',
    'half a head': 'GET /api/quick HTTP/1.1\r\nHost: gw.test\r\n',
    'requests without a token': 'GET /api/quick HTTP/1.1\r\nHost: gw.test\r\n\r\n',
    'requests of which they read no answer': 'GET /api/quick HTTP/1.1\r\nHost: gw.test\r\n\r\n'.repeat(30),
    'bodies without end': 'POST /api/transfers HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9000000\r\n\r\n{',
    'requests to upgrade': `GET /api/quick HTTP/1.1\r\nHost: gw.test\r\n${UPGRADE}\r\n`,
    'invented tokens': 'GET /api/quick HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer e30.e30.e30\r\n\r\n',
  };

  describe.each(['agents', 'reviewers', 'ops'] as const)('on the %s’ listener', (plane) => {
    it.for(Object.entries(strangers))(
      'take no connection from anybody else with %s',
      { timeout: 60_000 },
      async ([_what, bytes], { bare: env }) => {
        await flood(env.ports[plane], bytes);
        await othersAreServed(env);
      },
    );
  });

  it('displace each other, and never the idle connection of an agent', async ({ bare: env }) => {
    const { socket, heard } = await open(env.ports.agents, await get(env, '/api/first', 'agent-1'));
    await expect.poll(heard).toMatch(/^HTTP\/1\.1 200/);
    await flood(env.ports.agents, strangers.nothing ?? '');
    socket.write(await get(env, '/api/second', 'agent-1'));
    await expect.poll(heard).toMatch(/^HTTP\/1\.1 200.*HTTP\/1\.1 200/s);
    expect(env.upstream.requests.slice(-2).map(({ url }) => url)).toEqual(['/first', '/second']);
  });
});

describe('an upstream', () => {
  /** Its answers, to be given one by one. */
  function keepAnswers(env: Environment): ServerResponse[] {
    const waiting: ServerResponse[] = [];
    env.upstream.respond((_request, response) => void waiting.push(response));
    return waiting;
  }

  freshIt(
    'has no more calls under way than its pool has connections: others wait, and beyond the queue are refused',
    async ({ start }) => {
      const env = await start({ upstreams: { api: { pool: { connections: 2, queue: 1, wait: '20s' } } } });
      const waiting = keepAnswers(env);
      const calls = ['first', 'second'].map((name) => env.call(`/api/${name}`));
      await env.upstream.arrived(1);
      const third = env.call('/api/third');
      // Who comes behind a full queue is told at once; until the third is in it, this one may be there itself.
      await expect.poll(() => refusalOf(env, '/api/fourth', 'agent-2'), { timeout: 15_000 }).toEqual(TOO_MANY);
      expect(env.upstream.requests).toHaveLength(2);
      waiting[0]?.end('{}');
      await env.upstream.arrived(2);
      for (const response of waiting) response.end('{}');
      expect((await Promise.all([...calls, third])).map(({ status }) => status)).toEqual([200, 200, 200]);
    },
  );
});
