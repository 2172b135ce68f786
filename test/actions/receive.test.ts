import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { header } from '../../src/domain/headers.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import {
  DROPPED_FIELDS,
  HOSTILE_FIELDS,
  HOSTILE_FRAMING,
  HOSTILE_HOSTS,
  HOSTILE_PATHS,
} from '../support/hostile-requests.ts';
import { sendRaw } from '../support/raw-http.ts';
import { type Seen, startServer, type TestServer } from './server.ts';

let open: TestServer;
let named: TestServer;

beforeAll(async () => {
  open = await startServer();
  named = await startServer(undefined, { hosts: new Set(['gw.example.org', 'gw.example.org:8080']) });
});

afterAll(async () => {
  await open.close();
  await named.close();
});

async function codeOf(server: TestServer, raw: string): Promise<unknown> {
  const answer = await sendRaw(server.port, raw);
  if (answer.status === 200) return 'accepted';
  return /^x-code: (\w+)/m.exec(answer.text)?.[1] ?? (answer.status === 400 ? 'parser' : answer.text);
}

const lists = { paths: HOSTILE_PATHS, framing: HOSTILE_FRAMING, fields: HOSTILE_FIELDS };

for (const [what, list] of Object.entries(lists)) {
  describe(`hostile ${what}`, () => {
    it.each(list)('refuses $name with $refusal', async ({ refusal, raw }) => {
      expect(await codeOf(open, raw({ mount: 'api', host: open.host }))).toBe(refusal);
    });
  });
}

describe('Host', () => {
  it.each(HOSTILE_HOSTS)('refuses $name, whether names are configured or not', async ({ refusal, raw }) => {
    expect(await codeOf(open, raw({ mount: 'api', host: open.host }))).toBe(refusal);
    expect(await codeOf(named, raw({ mount: 'api', host: 'gw.example.org' }))).toBe(refusal);
  });

  it.each(['gw.example.org', 'GW.example.org:8080'])('accepts the configured name %s', async (host) => {
    expect(await codeOf(named, `GET /api/a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toBe('accepted');
  });

  it.each(['gw.example.org:80', 'example.org', 'gw.example.org.', '127.0.0.1'])(
    'refuses %s, which is not configured',
    async (host) => {
      expect(await codeOf(named, `GET /api/a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toBe('bad_host');
    },
  );

  it.each(['localhost', '[::1]:80', '10.0.0.1:8080', 'a_b.example'])(
    'accepts the authority %s when no name is configured',
    async (host) => {
      expect(await codeOf(open, `GET /api/a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toBe('accepted');
    },
  );
});

describe('what is accepted', () => {
  const received = async (raw: string): Promise<InboundRequest> => {
    const requests: InboundRequest[] = [];
    const server = await startServer(async (request) => void requests.push(request));
    await sendRaw(server.port, raw);
    await server.close();
    const [request] = requests;
    if (request === undefined) throw new Error('the request was refused');
    return request;
  };

  it('keeps the target to the byte and splits it into mount, path and query', async () => {
    const request = await received(
      'GET /api/a/caf%C3%A9/b%20c%23?q=1%2F2&x=[a|b]? HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    expect(request).toMatchObject({
      method: 'GET',
      target: '/api/a/caf%C3%A9/b%20c%23?q=1%2F2&x=[a|b]?',
      mount: 'api',
      path: '/a/caf%C3%A9/b%20c%23',
      query: 'q=1%2F2&x=[a|b]?',
      peer: { address: '127.0.0.1' },
      body: { empty: true },
    });
    expect(request.headers).toEqual(['host', 'a']);
  });

  it('takes a declared length of nought for an empty body', async () => {
    const request = await received('POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    expect(request.body.empty).toBe(true);
  });

  it('does not show trailers to anybody', async () => {
    const server = await startServer();
    const lines =
      'Host: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\nConnection: close';
    const answer = await sendRaw(
      server.port,
      `POST /api/a HTTP/1.1\r\n${lines}\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer trailed\r\nX-Trailed: 1\r\n\r\n`,
    );
    await server.close();
    expect(answer.status).toBe(200);
    expect(answer.body).not.toMatch(/trailed/i);
  });

  it('tells a pipelined second request from the body of the first', async () => {
    const one = 'POST /api/one HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc';
    const answer = await sendRaw(open.port, `${one}GET /api/two HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect((JSON.parse(answer.body) as Seen).bodyText).toBe('abc');
    expect(answer.text).not.toContain('/two');
  });

  it.each(DROPPED_FIELDS)('drops $name', async ({ lines, absent }) => {
    const close = lines.some((line) => line.startsWith('Connection:')) ? [] : ['Connection: close'];
    const answer = await sendRaw(
      open.port,
      ['GET /api/a HTTP/1.1', 'Host: a', ...close, 'X-Kept: 1', ...lines, '', ''].join('\r\n'),
    );
    expect(answer.status).toBe(200);
    const { forwardable, boundHeaders } = JSON.parse(answer.body) as Seen;
    expect(header(forwardable, 'x-kept')).toBe('1');
    for (const name of absent)
      expect([header(forwardable, name), header(boundHeaders, name)]).toEqual([undefined, undefined]);
  });

  // RFC 9110 section 7.8: an offer may be ignored. Kind: a request that is refused for what it only offers.
  it.each(['h2c', 'TLS/1.0', 'h2c, IRC/6.9', 'connect-udp', 'websockets', 'x/websocket'])(
    'ignores the offer to upgrade to %s',
    async (protocol) => {
      const raw = `GET /api/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
      const answer = await sendRaw(open.port, raw);
      expect(answer.status).toBe(200);
      const { forwardable, boundHeaders } = JSON.parse(answer.body) as Seen;
      for (const name of ['upgrade', 'connection', 'http2-settings'])
        expect([header(forwardable, name), header(boundHeaders, name)]).toEqual([undefined, undefined]);
    },
  );

  it.each(['websocket', 'WebSocket', 'websocket/13', 'h2c, websocket'])(
    'refuses to serve a request as it is when it asks for %s',
    async (protocol) => {
      const raw = `GET /api/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n\r\n`;
      expect(await codeOf(open, raw)).toBe('upgrade_refused');
    },
  );
});

describe('a client that goes away', () => {
  it('is noticed while the call waits, and not after it was answered', async () => {
    const events: string[] = [];
    const closed = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const server = await startServer(async (request) => {
      if (request.path === '/quick') {
        request.onClosed(() => events.push('quick'));
        return;
      }
      const forget = request.onClosed(() => events.push('forgotten'));
      forget();
      request.onClosed(() => {
        events.push('slow');
        // Whoever asks after the fact is told, too.
        request.onClosed(() => events.push('forgotten'))();
        request.onClosed(() => {
          events.push('late');
          closed.resolve();
        });
      });
      arrived.resolve();
      await closed.promise;
    });
    await sendRaw(server.port, 'GET /api/quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /api/slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await arrived.promise;
    socket.destroy();
    await closed.promise;
    await server.close();
    expect(events).toEqual(['slow', 'late']);
  });
});
