// Hostile bytes through the whole gateway, every request with a token that is good and under rules that would let it
// through: what counts is what the upstream received. What is refused opens not even a connection to it.

import { connect, type Socket } from 'node:net';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { type Environment, INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import {
  DROPPED_FIELDS,
  HOSTILE_CONTENT,
  HOSTILE_FIELDS,
  HOSTILE_FRAMING,
  HOSTILE_HOSTS,
  HOSTILE_JSON,
  HOSTILE_PATHS,
  type HostileBody,
} from '../support/hostile-requests.ts';
import { type RawAnswer, sendRaw } from '../support/raw-http.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';

const HOST = 'gateway.test';

interface Sent {
  readonly answer: RawAnswer;
  readonly seen: readonly string[];
}

const it = gatewayTest
  .extend('upstream', file, ({ closes }) => closes(startRawUpstream(rawAnswer('ok', ['connection: close']))))
  .extend('env', file, ({ upstream, environment }) =>
    environment({
      upstreams: { raw: { url: `${upstream.origin}/base`, credential: 'key' } },
      rules: [
        rule.allow('open', { upstream: 'raw' }),
        rule.deny(
          'inspected',
          { upstream: 'raw', methods: ['POST'], path: '/inspected' },
          { when: 'args.amount == -1.0' },
        ),
        rule.hold('held', { upstream: 'raw', path: '/held' }),
        rule.deny('closed', { upstream: 'raw', path: '/closed' }),
      ],
      limits: { wait: '0s', heldBody: '4KiB', inspectedBody: '8KiB', pendingPerAgent: 100 },
    }),
  )
  .extend('token', file, ({ env }) => env.token('agent-1'))
  // Sends, and tells what each new connection to the upstream carried.
  .extend('send', file, ({ upstream, env }) => async (...pieces: readonly (string | Uint8Array)[]): Promise<Sent> => {
    const before = upstream.received.length;
    const answer = await sendRaw(env.ports.agents, ...pieces);
    return { answer, seen: upstream.received.slice(before) };
  });

/** Puts the good token behind the request line, and in the place of a made-up one. */
function authenticated(token: string, raw: string): string {
  const line = `Authorization: Bearer ${token}`;
  return /\r\nauthorization:/i.test(raw)
    ? raw.replace('Authorization: Bearer x', line)
    : raw.replace('\r\n', `\r\n${line}\r\n`);
}

function head(token: string, start: string, ...lines: readonly string[]): string {
  return authenticated(token, `${[`${start} HTTP/1.1`, `Host: ${HOST}`, ...lines].join('\r\n')}\r\n\r\n`);
}

const codeOf = ({ body }: RawAnswer): string => (JSON.parse(body) as { code: string }).code;

const lists = { paths: HOSTILE_PATHS, hosts: HOSTILE_HOSTS, framing: HOSTILE_FRAMING, fields: HOSTILE_FIELDS };

describe.each(Object.entries(lists))('hostile %s', (_list, requests) => {
  it.for(requests)('refuses $name and touches nothing upstream', async ({ refusal, raw }, { token, send }) => {
    const bytes = authenticated(token, raw({ mount: 'raw', host: HOST }));
    const { answer, seen } = await send(bytes);
    if (refusal === 'parser') expect(answer.status).toBe(400);
    else if (!bytes.startsWith('HEAD')) expect(codeOf(answer)).toBe(refusal);
    else expect(answer.text).toContain(refusal);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(seen).toEqual([]);
  });
});

describe('hostile bodies', () => {
  const request = (
    token: string,
    { contentType, headers = [], body }: HostileBody,
    path: string,
  ): (string | Uint8Array)[] => {
    const type = contentType === undefined ? [] : [`Content-Type: ${contentType}`];
    return [
      head(token, `POST /raw${path}`, 'Connection: close', `Content-Length: ${body.length}`, ...type, ...headers),
      body,
    ];
  };

  it.for([...HOSTILE_JSON, ...HOSTILE_CONTENT].filter(({ body }) => body.length <= 8192))(
    'refuses $name where a condition reads the body',
    async (body, { token, send }) => {
      const { answer, seen } = await send(...request(token, body, '/inspected'));
      expect(codeOf(answer)).toBe(body.refusal);
      expect(seen).toEqual([]);
    },
  );

  it('forwards the very bytes that were parsed', async ({ token, send }) => {
    const body = '{ "amount" : 1.50,\n "to":"caf\\u00e9" }';
    const { answer, seen } = await send(
      head(
        token,
        'POST /raw/inspected',
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
      ),
      body,
    );
    expect(answer.status).toBe(200);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^POST \/base\/inspected HTTP\/1\.1\r\n/);
    expect(seen[0]?.endsWith(`\r\n\r\n${body}`)).toBe(true);
  });
});

describe('what is accepted arrives re-framed', () => {
  it.for(DROPPED_FIELDS)('without $name', async ({ lines, absent }, { token, send }) => {
    const own = lines.some((line) => line.startsWith('Connection')) ? lines : ['Connection: close', ...lines];
    // The task is looked up for its caller; a spoofed one is refused there, which is another test.
    const spoofed = own
      .filter((line) => !line.startsWith('Countersign-Task'))
      .map((line) => (line === 'Authorization: Bearer agent' ? `Authorization: Bearer ${token}` : line));
    const { answer, seen } = await send(head(token, 'GET /raw/a', ...spoofed));
    expect(answer.status).toBe(200);
    const fields = (seen[0] ?? '').toLowerCase().split('\r\n');
    expect(fields).toContain(`authorization: bearer ${INJECTED_SECRET}`);
    expect(seen[0]).not.toContain(token);
    for (const name of absent.filter((name) => !['authorization', 'connection'].includes(name)))
      expect(fields.filter((line) => line.startsWith(`${name}:`))).toEqual([]);
  });

  it('with one Host, that of the configuration', async ({ upstream, token, send }) => {
    const { seen } = await send(head(token, 'GET /raw/a?b=c', 'Connection: close'));
    expect(seen[0]?.match(/^host:.*$/gim)).toEqual([`host: 127.0.0.1:${upstream.port}`]);
    expect(seen[0]).toMatch(/^GET \/base\/a\?b=c HTTP\/1\.1\r\n/);
  });

  it('refuses a task that is not the caller’s instead of passing its name on', async ({ token, send }) => {
    const { answer, seen } = await send(head(token, 'GET /raw/a', 'Connection: close', 'Countersign-Task: task_1'));
    expect([answer.status, codeOf(answer)]).toEqual([404, 'task_not_found']);
    expect(seen).toEqual([]);
  });

  it.for(['DELETE', 'OPTIONS', 'PUT'])(
    'a chunked %s keeps its body in its frame: nothing is smuggled behind it (CVE-2025-32996)',
    async (method, { token, send }) => {
      const smuggled = 'GET /base/admin HTTP/1.1\r\nHost: a\r\n\r\n';
      const chunks = `${smuggled.length.toString(16)};ext=1\r\n${smuggled}\r\n0\r\nAuthorization: trailer\r\nX-Trailer: b\r\n\r\n`;
      const { answer, seen } = await send(
        head(token, `${method} /raw/x`, 'Connection: close', 'Transfer-Encoding: chunked'),
        chunks,
      );
      expect(answer.status).toBe(200);
      expect(seen).toHaveLength(1);
      const [fields = '', ...rest] = (seen[0] ?? '').split('\r\n\r\n');
      expect(fields).toMatch(new RegExp(`^${method} /base/x HTTP/1\\.1\\r\\n`));
      expect(fields.match(/^transfer-encoding: chunked$/gim)).toHaveLength(1);
      expect(fields).not.toMatch(/^content-length/im);
      expect(rest.join('\r\n\r\n')).toBe(`${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`);
      expect(seen[0]).not.toMatch(/ext=1|trailer/i);
    },
  );

  it('two pipelined requests are two calls, each with its own identity', async ({ token, send }) => {
    const anonymous = `GET /raw/second HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
    const { answer, seen } = await send(head(token, 'GET /raw/first') + anonymous);
    expect(answer.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
    expect(seen.join('')).toContain('GET /base/first');
    expect(seen.join('')).not.toContain('second');
  });

  it('leaves unread what follows a request that cannot be parsed', async ({ token, send }) => {
    const { answer, seen } = await send(
      head(token, 'POST /raw/x', 'Transfer-Encoding: chunked'),
      `zz\r\nhello\r\n${head(token, 'GET /raw/after')}`,
    );
    expect(answer.text).not.toContain('200 OK');
    expect(seen.join('')).not.toContain('after');
  });

  it('survives a field named __proto__ (CVE-2026-21710)', async ({ token, send }) => {
    const { answer } = await send(head(token, 'GET /raw/a', 'Connection: close', '__proto__: a', 'constructor: b'));
    expect(answer.status).toBeLessThan(500);
    expect((await send(head(token, 'GET /raw/a', 'Connection: close'))).answer.status).toBe(200);
  });
});

describe('credentials and lengths that others have confused', () => {
  it('takes two lengths for one request neither way, whatever their case (CVE-2026-1525)', async ({ token, send }) => {
    const { answer, seen } = await send(
      head(token, 'POST /raw/x', 'Connection: close', 'Content-Length: 5', 'content-length: 6'),
      'hello!',
    );
    expect([answer.status, seen]).toEqual([400, []]);
  });

  it('sends no Upgrade upstream, with or without Connection (CVE-2026-1527)', async ({ token, send }) => {
    const { answer, seen } = await send(head(token, 'GET /raw/a', 'Connection: close', 'Upgrade: websocket'));
    expect([answer.status, codeOf(answer), seen]).toEqual([426, 'upgrade_refused', []]);
  });

  it('keeps a token that one plane has verified from the other (GHSA-4mq7-pvjg-xp2r)', async ({ env, token, send }) => {
    const alice = await env.reviewer('alice');
    expect((await send(head(token, 'GET /raw/a', 'Connection: close'))).answer.status).toBe(200);
    expect((await alice.request('/holds')).status).toBe(200);
    expect((await alice.request('/holds', { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
    const { answer, seen } = await send(head(token, 'GET /raw/a', 'Connection: close').replace(token, alice.token));
    expect([answer.status, codeOf(answer), seen]).toEqual([401, 'token_audience', []]);
  });
});

describe('other protocols', () => {
  it('refuses CONNECT', async ({ upstream, token, send }) => {
    const { answer, seen } = await send(
      `CONNECT 127.0.0.1:${upstream.port} HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    expect([answer.status, codeOf(answer)]).toEqual([405, 'method_not_allowed']);
    expect(seen).toEqual([]);
  });

  // RFC 9110 section 7.8. Kind: a call that is refused, or treated as something else, for an offer that may be ignored.
  it.for([
    [
      'h2c, as Java’s HttpClient does',
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA'],
    ],
    ['TLS', ['Connection: Upgrade', 'Upgrade: TLS/1.0']],
    ['several protocols', ['Connection: keep-alive, upgrade', 'Upgrade: IRC/6.9, HTTP/3', 'Upgrade: RTA/x11']],
    ['nothing', ['Connection: Upgrade', 'Upgrade: ']],
  ] as const)(
    'serves a call that offers %s as it is, and forwards nothing of the offer',
    async ([_name, lines], { token, send }) => {
      for (const [method, body, ...fields] of [
        ['GET', ''],
        ['POST', 'hello', 'Content-Length: 5'],
        ['POST', '5\r\nhello\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'],
      ] as const) {
        const { answer, seen } = await send(head(token, `${method} /raw/a`, ...lines, ...fields) + body);
        expect(answer.status).toBe(200);
        expect(seen).toHaveLength(1);
        expect(seen[0]).not.toMatch(/upgrade|http2-settings|h2c|tls\/1|irc/i);
      }
    },
  );

  it('takes nothing that comes behind an offer for a further request: node:http may lose a part of it', async ({
    token,
    send,
  }) => {
    const offer = head(token, 'POST /raw/first', 'Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 5');
    const { answer, seen } = await send(
      `${offer}hello${head(token, 'GET /raw/second')}`,
      head(token, 'GET /raw/third'),
    );
    expect(answer.text.match(/^HTTP\/1\.1 \d+|^connection: .*/gim)).toEqual(['HTTP/1.1 200', 'Connection: close']);
    expect(seen.join('')).not.toMatch(/second|third/);
  });

  it.for([
    ['where it is not switched on', 'GET /raw/a', ''],
    ['with a body', 'POST /raw/a', 'hello'],
  ] as const)('refuses to switch to WebSocket %s', async ([_name, line, body], { token, send }) => {
    const handshake = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    const { answer, seen } = await send(
      head(token, line, ...handshake, ...(body === '' ? [] : [`Content-Length: ${body.length}`])) + body,
    );
    expect([answer.status, codeOf(answer), seen]).toEqual([426, 'upgrade_refused', []]);
  });

  it('refuses the preface of HTTP/2', async ({ send }) => {
    const { answer, seen } = await send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect([answer.status, seen]).toEqual([400, []]);
  });
});

describe('Expect: 100-continue', () => {
  const expecting = (token: string, path: string, length = 5): string =>
    head(
      token,
      `POST ${path}`,
      'Connection: close',
      'Expect: 100-continue',
      'Content-Type: text/plain',
      `Content-Length: ${length}`,
    );

  it.for([
    ['an unknown caller', (token: string) => expecting(token, '/raw/x').replace(token, 'x.y.z'), 401],
    [
      'a caller without a token',
      (token: string) => expecting(token, '/raw/x').replace(/Authorization:.*\r\n/, ''),
      401,
    ],
    ['a call that is denied', (token: string) => expecting(token, '/raw/closed'), 403],
    ['a body that is too large to be held', (token: string) => expecting(token, '/raw/held', 5000), 413],
  ] as const)('asks %s for no body', async ([_who, raw, status], { token, send }) => {
    const { answer, seen } = await send(raw(token));
    expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(seen).toEqual([]);
  });

  it('asks an identified caller for the body, and sends no Expect upstream', async ({ upstream, env, token }) => {
    const before = upstream.received.length;
    const text = await converse(
      env,
      expecting(token, '/raw/x'),
      (received, socket) => received.endsWith('100 Continue\r\n\r\n') && socket.write('hello'),
    );
    expect(text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(upstream.received[before]).toMatch(/\r\n\r\nhello$/);
    expect(upstream.received[before]).not.toMatch(/^expect/im);
  });
});

describe('size and slowness', () => {
  it('refuses a header section beyond its limit', async ({ token, send }) => {
    const { answer, seen } = await send(
      head(token, 'GET /raw/a', 'Connection: close', `X-Long: ${'a'.repeat(17 * 1024)}`),
    );
    expect([answer.status, codeOf(answer)]).toEqual([431, 'header_too_large']);
    expect(seen).toEqual([]);
  });

  it.for([
    ['declared', 'Content-Length: 8000', 'a'],
    ['chunked', 'Transfer-Encoding: chunked', `1f40\r\n${'a'.repeat(5000)}`],
  ] as const)(
    'refuses a %s body beyond what may be held, without having it all',
    async ([_how, framing, part], { token, send }) => {
      const { answer, seen } = await send(head(token, 'POST /raw/held', 'Content-Type: text/plain', framing), part);
      expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
      expect(answer.text).toMatch(/^connection: close$/im);
      expect(seen).toEqual([]);
    },
  );

  it('gives up on senders that stall in the head, stall in the body, or drip', { timeout: 60_000 }, async ({
    upstream,
    env,
    token,
  }) => {
    const before = upstream.received.length;
    const body = ['Content-Type: text/plain', 'Content-Length: 3000'];
    const drip = (_received: string, socket: Socket): void => {
      const timer = setInterval(() => socket.write('a'), 500);
      socket.once('close', () => clearInterval(timer));
    };
    const answers = await Promise.all([
      converse(env, `GET /raw/a HTTP/1.1\r\nHost: ${HOST}\r\nX-`, () => {}),
      converse(env, `${head(token, 'POST /raw/held', ...body)}a`, () => {}),
      converse(env, head(token, 'POST /raw/held', ...body), () => {}, drip),
    ]);
    for (const text of answers) expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
    expect(upstream.received.length).toBe(before);
  });
});

/** A connection that stays open from this side; resolves with everything received when the gateway has closed it. */
function converse(
  env: Environment,
  first: string,
  onData: (received: string, socket: Socket) => unknown,
  onOpen: (received: string, socket: Socket) => void = () => {},
): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ port: env.ports.agents, host: '127.0.0.1', allowHalfOpen: true }, () => {
      socket.write(first);
      onOpen(received, socket);
    });
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      onData(received, socket);
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(received));
  });
}
