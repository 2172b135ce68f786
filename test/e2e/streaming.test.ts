// Bodies in both directions through the whole gateway, over real sockets: as they come, as fast as they are taken, and
// never with the injected secret in them. Further, what an upstream could do with the connection: break it off,
// redirect, switch protocols, or be somebody else.

import { EventEmitter, once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createCertificates, hasOpenssl } from '../support/certificates.ts';
import { rule, type Upstream } from '../support/config.ts';
import { type Environment, INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const MIB = 1024 * 1024;
/** What sockets, kernels and streams on the way may keep between them: far less than a body. */
const BUFFERED = 32 * MIB;

type Handle = (incoming: IncomingMessage, response: ServerResponse) => void;
const upstream: { handle: Handle } = { handle: (_incoming, response) => void response.end() };
const upgrades: IncomingMessage[] = [];
const openssl = hasOpenssl();

const closing: (() => void)[] = [];

const it = gatewayTest.extend('env', file, async ({ environment, closes }) => {
  const server = createServer((incoming, response) => upstream.handle(incoming, response));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, incoming) => {
    upgrades.push(incoming);
    socket.on('message', (data) => socket.send(`echo ${data}`));
  });
  const origin = await listen(server);
  closing.push(() => sockets.close());
  const env = await environment({
    upstreams: {
      live: { url: origin, credential: 'key' },
      sockets: { url: origin, credential: 'key', websocket: true },
      ...(openssl && (await secureUpstreams())),
    },
    rules: [
      rule.allow('open', { path: '/open*' }),
      rule.allow('sockets', { upstream: 'sockets', path: '/open*', upgrade: true }),
      rule.hold('held', { path: '/held*' }, { wholeSession: true }),
    ],
  });
  await closes({
    close: () => {
      for (const close of closing) close();
    },
  });
  return env;
});

async function listen(server: ReturnType<typeof createServer> | TlsServer): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Servers that answer over TLS: one that is whom the gateway takes it for, and three that are not. */
async function secureUpstreams(): Promise<Record<string, Upstream>> {
  const authority = createCertificates();
  closing.push(() => authority.remove());
  const ca = join(tmpdir(), `countersign-ca-${process.pid}.pem`);
  writeFileSync(ca, authority.ca);
  closing.push(() => rmSync(ca));
  const start = async (names: readonly string[], more: Upstream, days?: number): Promise<Upstream> => {
    const server = createTlsServer(authority.issue(names, days), (_incoming, response) => void response.end('secure'));
    const port = new URL(await listen(server)).port;
    return { url: `https://localhost:${port}`, credential: 'key', ...more };
  };
  const trusting = { tls: { ca } };
  return {
    trusted: await start(['DNS:localhost'], trusting),
    stranger: await start(['DNS:localhost'], {}),
    misnamed: await start(['DNS:elsewhere.example'], trusting),
    expired: await start(['DNS:localhost'], trusting, -1),
  };
}

/** Chunks of 64 KiB, made when they are asked for. */
function source(bytes: number): { readonly state: { produced: number }; readonly stream: Readable } {
  const state = { produced: 0 };
  const stream = new Readable({
    read() {
      if (state.produced >= bytes) return void this.push(null);
      state.produced += 65_536;
      this.push(Buffer.alloc(65_536, (state.produced / 65_536) % 251));
    },
  });
  return { state, stream };
}

/** Resolves when the source has stood still while many other calls went through the same gateway. */
async function standstill(env: Environment, state: { readonly produced: number }): Promise<number> {
  for (let before = -1; state.produced !== before || before === 0; ) {
    before = state.produced;
    for (let i = 0; i < 10; i++) await (await env.call('/api/open')).arrayBuffer();
  }
  return state.produced;
}

describe('streams', () => {
  it('passes each event on before the next exists', async ({ env }) => {
    let send: (text: string) => void = () => {};
    upstream.handle = (_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      send = (text) => void response.write(text);
      closing.push(() => response.destroy());
    };
    const aborter = new AbortController();
    const response = await env.call('/live/open', { signal: aborter.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (const event of ['data: one\n\n', 'data: two\n\n', 'data: three\n\n']) {
      send(event);
      expect((await reader?.read())?.value).toBe(event);
    }
    aborter.abort();
  });

  it('brings a download of 64 MiB, and reads the upstream no faster than the agent reads', async ({ env }) => {
    const { state, stream } = source(64 * MIB);
    upstream.handle = (_incoming, response) => void stream.pipe(response);
    const headers = { authorization: `Bearer ${await env.token('agent-1')}` };
    const [answer] = (await once(
      request({ port: env.ports.agents, path: '/live/open', headers }).end(),
      'response',
    )) as [IncomingMessage];
    expect(await standstill(env, state)).toBeLessThan(BUFFERED);
    let received = 0;
    for await (const chunk of answer) received += chunk.length;
    expect(received).toBe(64 * MIB);
  });

  it('takes an upload of 64 MiB, and reads the agent no faster than the upstream reads', async ({ env }) => {
    const { state, stream } = source(64 * MIB);
    const arrived = new EventEmitter();
    upstream.handle = (incoming, response) => void arrived.emit('request', incoming, response);
    const headers = {
      authorization: `Bearer ${await env.token('agent-1')}`,
      'content-type': 'application/octet-stream',
    };
    const sending = request({ port: env.ports.agents, path: '/live/open', method: 'POST', headers });
    const reached = once(arrived, 'request') as Promise<[IncomingMessage, ServerResponse]>;
    stream.pipe(sending);
    const [incoming, response] = await reached;
    expect(await standstill(env, state)).toBeLessThan(BUFFERED);
    let received = 0;
    for await (const chunk of incoming) received += chunk.length;
    response.end(String(received));
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    expect(Buffer.concat(await answer.toArray()).toString()).toBe(String(64 * MIB));
  });
});

describe('what breaks off', () => {
  it('breaks off the agent’s answer when the upstream’s does: nothing looks complete', async ({ env }) => {
    upstream.handle = (_incoming, response) => {
      response.writeHead(200, { 'content-length': 200_000 });
      response.write(Buffer.alloc(100_000, 'a'), () => response.destroy());
    };
    const response = await env.call('/live/open');
    await expect(response.text()).rejects.toThrow();
  });

  it.for([
    ['before it answers', '', 'upstream_aborted'],
    ['in the middle of its head', 'HTTP/1.1 200 OK\r\ncontent-le', 'upstream_protocol'],
  ] as const)('answers 502 when the upstream closes %s', async ([_when, bytes, code], { env }) => {
    upstream.handle = (incoming) => void incoming.socket.end(bytes);
    const response = await env.call('/live/open');
    expect([response.status, await codeOf(response)]).toEqual([502, code]);
  });

  it('ends the upstream’s call when the agent goes away', async ({ env }) => {
    const closed = new EventEmitter();
    upstream.handle = (_incoming, response) => {
      response.once('close', () => closed.emit('closed', response.writableFinished));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\n');
    };
    const ended = once(closed, 'closed');
    const aborter = new AbortController();
    const response = await env.call('/live/open', { signal: aborter.signal });
    await response.body?.getReader().read();
    aborter.abort();
    expect(await ended).toEqual([false]);
  });
});

describe('what an upstream answers', () => {
  it.for([301, 302, 307, 308])('hands a %d on and does not follow it', async (status, { env }) => {
    let calls = 0;
    upstream.handle = (_incoming, response) => {
      calls++;
      response.writeHead(status, { location: 'http://169.254.169.254/latest/meta-data' }).end();
    };
    const response = await env.call('/live/open');
    expect([response.status, response.headers.get('location'), calls]).toEqual([
      status,
      'http://169.254.169.254/latest/meta-data',
      1,
    ]);
  });

  it.for(['/open', '/held'])(
    'scrubs the injected secret out of what %s echoes, in fields and body, however it is written',
    async (path, { env }) => {
      const base64 = Buffer.from(INJECTED_SECRET).toString('base64');
      upstream.handle = ({ headers }, response) => {
        response.writeHead(200, {
          'content-type': 'text/plain',
          'x-echo': headers.authorization,
          'x-base64': base64,
          authorization: 'x',
          'set-cookie': 'a=b',
        });
        response.write(`you sent ${headers.authorization?.slice(0, 20)}`);
        response.end(`${headers.authorization?.slice(20)} and ${base64} and ${JSON.stringify(headers)}`);
      };
      const response = await (path === '/held' ? approved(env, () => env.call('/live/held')) : env.call('/live/open'));
      const text = `${await response.text()} ${JSON.stringify([...response.headers])}`;
      expect(response.status).toBe(200);
      expect(text.match(/\[scrubbed\]/g)?.length).toBeGreaterThanOrEqual(4);
      for (const literal of [INJECTED_SECRET, base64.slice(4, -4)]) expect(text).not.toContain(literal);
      expect(response.headers.get('set-cookie')).toBeNull();
      expect(response.headers.get('authorization')).toBeNull();
    },
  );
});

describe('WebSocket', () => {
  const open = async (env: Environment, path: string): Promise<WebSocket> =>
    new WebSocket(`ws://127.0.0.1:${env.ports.agents}${path}`, {
      headers: { authorization: `Bearer ${await env.token('agent-1')}` },
    });

  const refusal = async (socket: WebSocket): Promise<readonly [number | undefined, string]> => {
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    const { code } = JSON.parse(Buffer.concat(await response.toArray()).toString()) as { code: string };
    return [response.statusCode, code];
  };

  it.for([
    ['where the upstream does not take it', '/live/open', 426, 'upgrade_refused'],
    ['where no rule allows it', '/sockets/elsewhere', 403, 'no_matching_rule'],
    ['below the gateway’s own endpoints', '/countersign/v1/tasks', 405, 'method_not_allowed'],
  ] as const)('is refused %s', async ([_where, path, status, code], { env }) => {
    const before = upgrades.length;
    expect(await refusal(await open(env, path))).toEqual([status, code]);
    expect(upgrades.length).toBe(before);
  });

  it('is refused to a caller without a token', async ({ env }) => {
    expect(await refusal(new WebSocket(`ws://127.0.0.1:${env.ports.agents}/sockets/open`))).toEqual([
      401,
      'unauthenticated',
    ]);
  });

  it('goes through the pipeline where the upstream takes it, with the injected credential', async ({ env }) => {
    const before = upgrades.length;
    const socket = await open(env, '/sockets/open?a=b');
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('echo hello');
    expect(upgrades[before]).toMatchObject({
      url: '/open?a=b',
      headers: { authorization: `Bearer ${INJECTED_SECRET}` },
    });
    expect(JSON.stringify(upgrades[before]?.rawHeaders)).not.toContain(await env.token('agent-1'));
    socket.close();
    await once(socket, 'close');
  });
});

describe.skipIf(!openssl)('TLS to the upstream (skipped where openssl is absent)', () => {
  it('speaks to the one that the configured authority vouches for', async ({ env }) => {
    const response = await env.call('/trusted/open');
    expect([response.status, await response.text()]).toEqual([200, 'secure']);
  });

  it.for(['stranger', 'misnamed', 'expired'])('sends nothing to a %s one (CVE-2026-9697)', async (name, { env }) => {
    const response = await env.call(`/${name}/open`);
    expect([response.status, await codeOf(response)]).toEqual([502, 'upstream_tls']);
  });
});

/** Makes a call and approves the hold that it opens. */
async function approved(env: Environment, call: () => Promise<Response>): Promise<Response> {
  const alice = await env.reviewer('alice');
  const { hold } = await alice.expect('PENDING');
  const answer = call();
  await alice.approve(await hold);
  return answer;
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code;
}
