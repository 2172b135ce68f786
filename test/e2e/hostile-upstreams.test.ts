// An upstream is not trusted either: what it sends reaches the agent that called, in its own frame, or not at all. It
// cannot speak for the gateway, nor put an answer into another agent's call.

import type { Socket } from 'node:net';
import { afterEach, describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';

const OK = rawAnswer('own');
const wire = { answer: (socket: Socket): void => void socket.write(OK) };

const it = gatewayTest
  .extend('upstream', file, ({ closes }) => closes(startRawUpstream((socket) => wire.answer(socket))))
  .extend('env', file, ({ upstream, environment }) =>
    environment({
      upstreams: { raw: { url: upstream.origin, credential: 'key' } },
      rules: [rule.allow('open', { upstream: 'raw' })],
    }),
  );

afterEach(() => {
  wire.answer = (socket) => socket.write(OK);
});

const call = (env: Environment, as = 'agent-1'): Promise<Response> => env.call('/raw/x', { as });

async function refusal(env: Environment): Promise<readonly [number, string]> {
  const response = await call(env);
  return [response.status, ((await response.json()) as { code: string }).code];
}

describe('an answer that nobody asked for (CVE-2026-6733)', () => {
  const injected = rawAnswer('injected', ['x-injected: yes']);

  it('behind a good one does not become the answer of the next call', async ({ env }) => {
    wire.answer = (socket) => socket.write(Buffer.concat([OK, injected]));
    const first = await call(env);
    expect(await first.text()).toBe('own');
    wire.answer = (socket) => socket.write(OK);
    for (const agent of ['agent-2', 'agent-3']) {
      const next = await call(env, agent);
      expect([next.status, next.headers.get('x-injected'), await next.text()]).toEqual([200, null, 'own']);
    }
  });

  it('on an idle connection costs the upstream that connection', async ({ upstream, env }) => {
    let idle: Socket | undefined;
    wire.answer = (socket) => {
      idle = socket;
      socket.write(OK);
    };
    const before = upstream.received.length;
    expect(await (await call(env)).text()).toBe('own');
    const connection = upstream.received.length > before ? before : before - 1;
    idle?.write(injected);
    await upstream.closed(connection);
    wire.answer = (socket) => socket.write(OK);
    expect(await (await call(env, 'agent-2')).text()).toBe('own');
  });
});

describe('an answer that could be read in two ways', () => {
  it.for([
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n',
    ],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nown'],
    ['a signed length', 'HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nown'],
    ['a control character in a field', 'HTTP/1.1 200 OK\r\nx-a: a\x01b\r\ncontent-length: 3\r\n\r\nown'],
    [
      'a bare carriage return in a field',
      'HTTP/1.1 302 Found\r\nlocation: /a\rset-cookie: a=b\r\ncontent-length: 0\r\n\r\n',
    ],
    ['a space in a field’s name', 'HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 3\r\n\r\nown'],
    ['a status that HTTP does not have', 'HTTP/1.1 999 Odd\r\ncontent-length: 3\r\n\r\nown'],
    [
      'a switch of protocols that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
    ['interim answers without end', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(100)],
    ['100 Continue without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)],
    ['another protocol', 'SSH-2.0-OpenSSH_9.9\r\n\r\n'],
  ] as const)('is refused: %s', async ([_what, bytes], { env }) => {
    wire.answer = (socket) => void socket.end(Buffer.from(bytes, 'latin1'));
    expect(await refusal(env)).toEqual([502, 'upstream_protocol']);
  });

  it('is refused when its head has no end', async ({ env }) => {
    wire.answer = (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(50_000)}`);
    expect((await refusal(env))[0]).toBe(502);
  });
});

describe('an answer in the gateway’s name', () => {
  it('loses what only the gateway says, what would lead around it, and sessions that nobody decided on', async ({
    env,
  }) => {
    const fields = [
      'Countersign-Hold: hold_forged',
      'Proxy-Status: countersign; error=x',
      'Alt-Svc: h3=":443"',
      'Set-Cookie: a=b',
      'Authorization: Bearer x',
      'X-Own: kept',
    ];
    wire.answer = (socket) => void socket.write(rawAnswer('own', fields));
    const { headers } = await call(env);
    expect(headers.get('x-own')).toBe('kept');
    for (const name of ['countersign-hold', 'proxy-status', 'alt-svc', 'set-cookie', 'authorization'])
      expect(headers.get(name), name).toBeNull();
  });

  it('is told from the gateway’s own: a 409 of the upstream’s carries no Proxy-Status', async ({ env }) => {
    wire.answer = (socket) =>
      void socket.write(
        rawAnswer('{"code":"approval_pending"}', ['content-type: application/problem+json'], '409 Conflict'),
      );
    const response = await call(env);
    expect([response.status, response.headers.get('proxy-status'), response.headers.get('countersign-hold')]).toEqual([
      409,
      null,
      null,
    ]);
  });

  // Pins: an interim answer, asked for or not, is discarded, and what was done is not told as a fault (RFC 9110 section
  // 15.2).
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
  it.for([
    ['103', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'],
    ['100 that nobody asked for', CONTINUE],
    ['100 twice', CONTINUE + CONTINUE],
    ['100 with fields', 'HTTP/1.1 100 Go on\r\nx-a: b\r\ncontent-length: 0\r\n\r\n'],
    ['100 between others', `HTTP/1.1 102 Processing\r\n\r\n${CONTINUE}HTTP/1.1 103 Early Hints\r\n\r\n`],
    ['110, which HTTP does not have', 'HTTP/1.1 110 Odd\r\n\r\n'],
  ] as const)('passes no interim answer on: %s', async ([_what, interim], { env }) => {
    for (const agent of ['agent-1', 'agent-2']) {
      wire.answer = (socket) => void socket.write(Buffer.concat([Buffer.from(interim), OK]));
      const response = await call(env, agent);
      expect([response.status, response.headers.get('link'), await response.text()]).toEqual([200, null, 'own']);
    }
  });

  it('passes no interim answer on that comes apart from the answer', async ({ env }) => {
    wire.answer = (socket) => void socket.write(CONTINUE, () => setImmediate(() => socket.write(OK)));
    expect(await (await call(env)).text()).toBe('own');
  });
});
