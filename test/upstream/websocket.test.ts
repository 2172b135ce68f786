import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { noMetrics } from '../../src/domain/metrics.ts';
import type { GatewayError } from '../../src/errors.ts';
import type { Resolve } from '../../src/upstream/address-guard.ts';
import { createTargets, type UpstreamOptions } from '../../src/upstream/targets.ts';
import { createWebSocketPass } from '../../src/upstream/websocket.ts';
import { createCertificates, hasOpenssl, pemOf } from '../support/certificates.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { type CallParts, outgoing, upstreamOptions } from './harness.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A real WebSocket server that echoes, and the requests that reached it. */
async function startEcho(): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('headers', (headers) => void headers.push('Set-Cookie: a=b', 'Countersign-Hold: forged', 'X-Note: kept'));
  sockets.on('connection', (socket, request) => {
    requests.push(request);
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  const port = await listen(server);
  cleanups.push(() => sockets.close());
  return { url: `http://127.0.0.1:${port}`, requests };
}

/** A front that hands every upgrade to the pass; what it refuses is answered on the socket. */
async function startFront(
  url: string,
  extra: Partial<UpstreamOptions> = {},
  parts: Partial<CallParts> = {},
  resolve?: Resolve,
) {
  const targets = createTargets(new Map([['api', upstreamOptions(url, { websocket: true, ...extra })]]), resolve);
  const counted: unknown[] = [];
  const pass = createWebSocketPass({
    targets,
    metrics: { ...noMetrics, upstream: (_name, _method, status, error) => counted.push(error ?? status) },
  });
  const server = createServer();
  const outcomes: Promise<unknown>[] = [];
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    const headers = incoming.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
    const onClosed = (callback: () => void) => {
      socket.once('close', callback);
      return () => void socket.removeListener('close', callback);
    };
    const call = outgoing({ url, target: incoming.url ?? '/', headers, onClosed, ...parts });
    const outcome = pass.pass({ incoming, socket, release: () => head }, call).catch((error: GatewayError) => {
      socket.end(`HTTP/1.1 ${error.status} ${error.code}\r\nconnection: close\r\n\r\n`);
      return error.code;
    });
    outcomes.push(outcome);
  });
  const port = await listen(server);
  cleanups.push(
    () => pass.close(),
    () => targets.close(),
  );
  return { port, outcomes, counted, pass };
}

async function refusal(port: number, path = '/'): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  response.resume();
  return `${response.statusCode} ${response.statusMessage}`;
}

describe('a WebSocket upgrade', () => {
  it('joins the agent with the upstream, under headers that we built', async () => {
    const echo = await startEcho();
    const { port, outcomes, counted } = await startFront(
      echo.url,
      {},
      {
        injection: { in: 'header', name: 'authorization', value: 'Bearer upstream-secret' },
        action: {
          upgrade: {
            protocol: 'websocket',
            subprotocols: ['chat'],
            extensions: ['permessage-deflate; client_max_window_bits'],
          },
        },
      },
    );
    const headers = {
      authorization: 'Bearer agent',
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      'countersign-task': 't',
      'x-note': 'hello',
    };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live/%7Ea;b?q=%20x`, ['chat'], { headers });
    const [[answer]] = (await Promise.all([once(socket, 'upgrade'), once(socket, 'open')])) as [
      [IncomingMessage],
      unknown,
    ];
    socket.send('ping');
    expect(String((await once(socket, 'message'))[0])).toBe('ping');
    const big = Buffer.alloc(1_000_000, 7);
    socket.send(big);
    expect((await once(socket, 'message'))[0]).toEqual(big);
    socket.close();
    expect(await outcomes[0]).toEqual({ status: 101, complete: true });

    const [received] = echo.requests;
    expect(received?.url).toBe('/live/%7Ea;b?q=%20x');
    expect(received?.headers).toMatchObject({
      host: new URL(echo.url).host,
      authorization: 'Bearer upstream-secret',
      'x-note': 'hello',
      'sec-websocket-protocol': 'chat',
    });
    for (const name of ['cookie', 'x-forwarded-for', 'countersign-task'])
      expect(received?.headers).not.toHaveProperty(name);
    expect(answer.headers).toMatchObject({ 'x-note': 'kept', 'sec-websocket-protocol': 'chat' });
    for (const name of ['set-cookie', 'countersign-hold']) expect(answer.headers).not.toHaveProperty(name);
    expect(counted).toEqual([101]);
  });

  it('ends the one side when the other ends', async () => {
    const echo = await startEcho();
    const { port, outcomes, pass } = await startFront(echo.url);
    const leaving = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(leaving, 'open');
    const upstreamEnd = once(echo.requests[0]?.socket as Socket, 'close');
    leaving.terminate();
    await upstreamEnd;
    expect(await outcomes[0]).toEqual({ status: 101, complete: true });

    const staying = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(staying, 'open');
    const closed = once(staying, 'close');
    echo.requests[1]?.socket.destroy();
    await closed;

    const cut = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(cut, 'open');
    const gone = once(cut, 'close');
    pass.close();
    await gone;
  });

  it('is refused where the upstream is not configured for it, and touches nothing', async () => {
    const upstream = await startRawUpstream('');
    const { port } = await startFront(upstream.origin, { websocket: false });
    expect(await refusal(port)).toBe('426 upgrade_refused');
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });

  it.each([
    ['GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nsec-websocket-key: a\r\n\r\n'],
    ['GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
    ['POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n\r\n'],
    [
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\ncontent-length: 5\r\n\r\nhello',
    ],
    [
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('refuses what is no bare WebSocket handshake: %j', async (bytes) => {
    const upstream = await startRawUpstream('');
    const { port } = await startFront(upstream.origin);
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    expect(Buffer.concat(await socket.toArray()).toString()).toMatch(/^HTTP\/1\.1 426 upgrade_refused\r\n/);
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });

  it.each([
    ['an ordinary answer', rawAnswer('no', ['set-cookie: a=b'], '403 Forbidden')],
    [
      'an acceptance of another handshake',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: AAAA\r\n\r\n',
    ],
    ['a switch to another protocol', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n'],
    ['bytes that are not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ])('is not believed when the upstream sends %s', async (_name, answer) => {
    const upstream = await startRawUpstream(answer);
    const { port, counted } = await startFront(upstream.origin);
    expect(await refusal(port)).toBe('502 upstream_protocol');
    expect(counted).toEqual(['upstream_protocol']);
    await upstream.closed(0);
    await upstream.close();
  });

  it('says that nothing was sent when nobody listens, and gives up on an upstream that does not answer', async () => {
    const gone = await startRawUpstream('');
    await gone.close();
    expect(await refusal((await startFront(gone.origin)).port)).toBe('502 upstream_unreachable');
    const mute = await startRawUpstream(() => {});
    expect(await refusal((await startFront(mute.origin, { connectTimeoutMs: 20, headersTimeoutMs: 20 })).port)).toBe(
      '504 upstream_timeout',
    );
    await mute.closed(0);
    await mute.close();
  });

  it('is refused when the upstream’s name resolves to where it may not', async () => {
    const upstream = await startRawUpstream('');
    const url = `http://rebinding.example:${upstream.port}`;
    const resolve: Resolve = (_name, _options, callback) =>
      void setImmediate(callback, null, [{ address: '127.0.0.1', family: 4 }]);
    expect(await refusal((await startFront(url, { allowPlaintext: true }, {}, resolve)).port)).toBe(
      '502 upstream_address_refused',
    );
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });

  it.skipIf(!hasOpenssl())('verifies the certificate of a TLS upstream (skipped where openssl is absent)', async () => {
    const certificates = createCertificates();
    const server = createTlsServer(certificates.issue(['DNS:localhost']));
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.send('hello'));
    const url = `https://localhost:${await listen(server)}`;
    const { port } = await startFront(url, { tls: { ca: pemOf(certificates.ca) } });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    socket.terminate();
    expect(await refusal((await startFront(url)).port)).toBe('502 upstream_tls');
    certificates.remove();
  });
});
