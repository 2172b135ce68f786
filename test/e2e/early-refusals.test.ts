// A refusal is worth nothing when its client never reads it: whoever is still sending a body when the connection is
// closed gets a reset, and the answer in its own buffer is lost (RFC 9112 section 9.6). Kind: an answer before the body
// was read, on any plane, for any client. And the way out is bounded: whoever never stops sending is cut.

import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';

const BODY = Buffer.alloc(8 * 1024 * 1024, 'a');

const it = gatewayTest
  .extend('hasty', file, ({ closes }) =>
    closes(startRawUpstream(rawAnswer('no', ['connection: close'], '413 Too Large'))),
  )
  .extend('env', file, ({ hasty, environment }) =>
    environment({
      upstreams: { hasty: { url: hasty.origin, credential: 'key' } },
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('held', { upstream: 'api', methods: ['POST'], path: '/held' }),
        rule.allow('uploads', { upstream: 'hasty', methods: ['POST'] }),
      ],
    }),
  )
  .extend('token', file, ({ env }) => env.token('agent-1'));

interface Refusal {
  readonly plane: keyof Environment['ports'];
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** Each is known before the body is read. */
const refusals = (token: string): Readonly<Record<string, Refusal>> => ({
  'a caller without a token': { plane: 'agents', path: '/api/a', status: 401 },
  'a token that is none': { plane: 'agents', path: '/api/a', headers: { authorization: 'Bearer x.y.z' }, status: 401 },
  'an ambiguous path': { plane: 'agents', path: '/api//a', headers: bearer(token), status: 400 },
  'a mount that does not exist': { plane: 'agents', path: '/nowhere/a', headers: bearer(token), status: 404 },
  'a call that no rule allows': { plane: 'agents', path: '/api/a', headers: bearer(token), status: 403 },
  'a body that is too large to be held': {
    plane: 'agents',
    path: '/api/held',
    headers: { ...bearer(token), 'content-type': 'text/plain' },
    status: 413,
  },
  'an offer of a WebSocket': {
    plane: 'agents',
    path: '/api/a',
    headers: { ...bearer(token), upgrade: 'websocket', connection: 'upgrade, close' },
    status: 426,
  },
  'a method override': {
    plane: 'agents',
    path: '/api/a',
    headers: { ...bearer(token), 'x-http-method': 'DELETE' },
    status: 400,
  },
  'an endpoint of the gateway’s own': {
    plane: 'agents',
    path: '/countersign/v1/nothing',
    headers: bearer(token),
    status: 404,
  },
  'the metadata of a mount': {
    plane: 'agents',
    path: '/.well-known/oauth-protected-resource/nothing',
    headers: bearer(token),
    status: 405,
  },
  'an upstream that does not read': { plane: 'agents', path: '/hasty/upload', headers: bearer(token), status: 413 },
  'a reviewer without a token': { plane: 'reviewers', path: '/api/v1/holds', status: 401 },
  'a page that does not exist': { plane: 'reviewers', path: '/nothing', status: 404 },
  'a Host that is not the reviewers’': {
    plane: 'reviewers',
    path: '/api/v1/holds',
    headers: { host: 'evil.test' },
    status: 400,
  },
  'a method of no page': { plane: 'reviewers', path: '/api/v1/holds', method: 'PUT', status: 405 },
  'a GET with a body': { plane: 'reviewers', path: '/api/v1/holds', method: 'GET', status: 401 },
  'a path of no operator': { plane: 'ops', path: '/nothing', status: 404 },
  'an operator’s path': { plane: 'ops', path: '/livez', status: 200 },
});

const NAMES = Object.keys(refusals(''));

describe('an answer before the body was read arrives', () => {
  it.for(NAMES)('over a raw socket: %s', async (name, { env, token }) => {
    const one = refusalOf(token, name);
    const socket = connect(env.ports[one.plane], '127.0.0.1').on('error', () => {});
    socket.write(headOf(env, one, `Content-Length: ${BODY.byteLength}`));
    // It reads nothing before it has sent everything.
    expect(await new Promise((resolve) => void socket.write(BODY, resolve))).toBeFalsy();
    expect(await statusOf(socket)).toBe(one.status);
  });

  it.for(NAMES)('by fetch: %s', async (name, { env, token }) => {
    const { plane, path, method = 'POST', headers = {}, status } = refusalOf(token, name);
    const unable = ['host', 'upgrade'].some((field) => field in headers) || method === 'GET';
    // fetch sends no other Host, no Upgrade, and no GET with a body.
    if (unable) return;
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`http://127.0.0.1:${env.ports[plane]}${path}`, { method, headers, body: BODY });
      expect(response.status).toBe(status);
      await response.text();
    }
  });

  it('by Python’s http.client, skipped where there is none', { timeout: 60_000 }, async ({ env, token, skip }) => {
    const script = `
import http.client, json, sys
out = []
for one in json.load(sys.stdin):
    c = http.client.HTTPConnection('127.0.0.1', one['port'], timeout=30)
    try:
        c.request(one['method'], one['path'], body=b'a' * ${BODY.byteLength}, headers=one['headers'])
        r = c.getresponse(); r.read(); out.append(r.status)
    except Exception as e:
        out.append(repr(e))
print(json.dumps(out))`;
    const asked = NAMES.map((name) => refusalOf(token, name)).map(({ plane, path, method = 'POST', headers = {} }) => ({
      port: env.ports[plane],
      path,
      method,
      headers,
    }));
    const run = promisify(execFile)('python3', ['-c', script]);
    run.child.stdin?.on('error', () => {}).end(JSON.stringify(asked));
    const result = await run.catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? undefined : Promise.reject(error),
    );
    if (result === undefined) return skip('python3 is absent');
    expect(Object.fromEntries(NAMES.map((name, i) => [name, (JSON.parse(result.stdout) as unknown[])[i]]))).toEqual(
      Object.fromEntries(NAMES.map((name) => [name, refusalOf(token, name).status])),
    );
  });

  it('after bytes that are no request, and a head that is too large', async ({ env }) => {
    for (const plane of ['agents', 'reviewers', 'ops'] as const) {
      for (const [head, status] of [
        ['\x01garbage\r\n\r\n', 400],
        [
          `POST / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\nContent-Length: ${BODY.byteLength}\r\n\r\n`,
          431,
        ],
        ['POST /api/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n', 400],
        [`CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n`, 405],
      ] as const) {
        const socket = connect(env.ports[plane], '127.0.0.1');
        socket.write(head);
        socket.write(BODY);
        expect(await statusOf(socket)).toBe(status);
      }
    }
  });
});

describe('a client that never stops sending', () => {
  const ENDLESS = [
    'a caller without a token',
    'an upstream that does not read',
    'a reviewer without a token',
    'a GET with a body',
    'a path of no operator',
  ];

  it('is cut: by bytes when it is fast, by time when it drips', { timeout: 60_000 }, async ({ env, token }) => {
    const fast = (socket: Socket): void => {
      const chunk = Buffer.concat([Buffer.from('40000\r\n'), BODY.subarray(0, 0x40000), Buffer.from('\r\n')]);
      const more = (): void => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on('drain', more);
      more();
    };
    const drip = (socket: Socket): void => {
      const timer = setInterval(() => socket.write('1\r\na\r\n'), 400);
      socket.once('close', () => clearInterval(timer));
    };
    await Promise.all(
      ENDLESS.map((name) => refusalOf(token, name)).flatMap((one) =>
        [fast, drip].map(async (send) => {
          const socket = connect({ port: env.ports[one.plane], host: '127.0.0.1', allowHalfOpen: true });
          socket.on('error', () => {}).resume();
          socket.write(headOf(env, one, 'Transfer-Encoding: chunked'));
          send(socket);
          await new Promise((resolve) => void socket.on('close', resolve));
        }),
      ),
    );
  });
});

function refusalOf(token: string, name: string): Refusal {
  const found = refusals(token)[name];
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

function headOf(env: Environment, { plane, path, method = 'POST', headers = {} }: Refusal, framing: string): string {
  const fields = { host: `127.0.0.1:${env.ports[plane]}`, connection: 'close', ...headers };
  return [
    `${method} ${path} HTTP/1.1`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    framing,
    '',
    '',
  ].join('\r\n');
}

/** Of the first answer, read when the connection has ended or the answer is whole. */
function statusOf(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let text = '';
    const done = (): void => {
      socket.destroy();
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0));
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('end', done).on('close', done);
  });
}
