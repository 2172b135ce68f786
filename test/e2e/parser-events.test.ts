// Anybody on the network can write to a listener, and needs no token for it. Kind: an exception or an unheard `error`
// event on a way that only broken, impatient or hostile clients take, which ends the process and with it all three
// planes. Every event of node's HTTP parser is driven behind every other one, on every plane, in the clear, over TLS
// and with client certificates, and the client ends, resets or waits. Inputs of the kind: all pairs of the table below,
// in one packet and in two, times three endings, times six listeners.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect } from 'vitest';
import type { GivenConfig } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createAuthority, type Issued } from '../support/spiffe-authority.ts';

type Transport = 'plain' | 'tls' | 'mtls';
type Plane = keyof Environment['ports'];
type Gateways = Readonly<Record<Transport, Environment>>;

const it = gatewayTest
  .extend('stranger', file, async () => (await createAuthority('elsewhere.test')).issue())
  .extend('gateways', file, async ({ folder, environment }): Promise<Gateways> => {
    const authority = await createAuthority('prod.test');
    const own = await authority.issue({ uris: ['spiffe://prod.test/gateway'], dns: ['localhost'] });
    writeFileSync(join(folder, 'cert.pem'), own.pem);
    writeFileSync(join(folder, 'key.pem'), own.keyPem);
    const tls = { certificate: join(folder, 'cert.pem'), key: { file: join(folder, 'key.pem') } };
    const start = async (listeners: NonNullable<GivenConfig['listeners']>): Promise<Environment> => {
      const env = await environment({ listeners, upstreams: { api: { websocket: true } } });
      env.upstream.respond((_request, response) => void setTimeout(() => response.end('{"ok":true}'), 20));
      return env;
    };
    const [plain, both, mutual] = await Promise.all([
      start({}),
      start({ agents: { tls }, reviewers: { tls } }),
      start({ agents: { tls: { ...tls, clientCertificates: 'require' } } }),
    ]);
    return { plain, tls: both, mtls: mutual };
  });

const head = (line: string, ...fields: readonly string[]): string => [line, 'Host: x', ...fields, '', ''].join('\r\n');
const websocket = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** What makes the parser tell each of its events. `TOKEN` becomes a valid one of the agents' plane. */
const EVENTS: Readonly<Record<string, string>> = {
  'request, refused at once': head('GET /a HTTP/1.1'),
  'request, answered late': head('GET /api/a HTTP/1.1', 'Authorization: Bearer TOKEN'),
  'request, half a body': `${head('POST /api/a HTTP/1.1', 'Content-Length: 10')}hello`,
  'upgrade to a WebSocket': head('GET /api/a HTTP/1.1', ...websocket),
  'upgrade to a WebSocket, let in': head('GET /api/a HTTP/1.1', 'Authorization: Bearer TOKEN', ...websocket),
  'upgrade to h2c': head(
    'GET /a HTTP/1.1',
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
  ),
  connect: head('CONNECT a.test:443 HTTP/1.1'),
  checkContinue: `${head('POST /api/a HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5')}hello`,
  checkExpectation: head('GET /api/a HTTP/1.1', 'Expect: a-miracle'),
  'clientError by garbage': '\x00\x01\x02 garbage\r\n\r\n',
  'clientError by a chunk': `${head('POST /api/a HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`,
  'clientError by a long head': head('GET /a HTTP/1.1', `X-Long: ${'a'.repeat(20_000)}`),
};
const ENDINGS = ['fin', 'rst', 'delay'] as const;

interface Case {
  readonly pieces: readonly string[];
  readonly ending: (typeof ENDINGS)[number];
}

const CASES: readonly Case[] = Object.values(EVENTS).flatMap((first) =>
  Object.values(EVENTS).flatMap((second) =>
    ENDINGS.flatMap((ending) => [
      { pieces: [first + second], ending },
      { pieces: [first, second], ending },
    ]),
  ),
);

const LISTENERS: readonly (readonly [Plane, Transport])[] = [
  ['agents', 'plain'],
  ['agents', 'tls'],
  ['agents', 'mtls'],
  ['reviewers', 'plain'],
  ['reviewers', 'tls'],
  ['ops', 'plain'],
];

describe.concurrent('the process lives through every pair of parser events', () => {
  it.for(LISTENERS)(
    'on the %s’ listener, %s',
    { timeout: 120_000 },
    async ([plane, transport], { gateways, stranger }) => {
      const environment = gateways[transport];
      const token = await environment.token('agent-1');
      await inParallel(CASES, (one) =>
        drive(stranger, environment.ports[plane], transport, {
          ...one,
          pieces: one.pieces.map((piece) => piece.replaceAll('TOKEN', token)),
        }),
      );
      await stillServes(environment, transport);
    },
  );
});

describe.concurrent('the process lives through what is no TLS handshake', () => {
  /** Bytes for a TLS listener before, instead of, or in the middle of a handshake. */
  const NO_HANDSHAKE: readonly (string | Buffer)[] = [
    ...Object.values(EVENTS),
    // A record of type handshake that promises more than comes.
    Buffer.from('160301020001000001fc0303', 'hex'),
    // An alert, and application data, before any handshake.
    Buffer.from('15030100020228', 'hex'),
    Buffer.from('170303000568656c6c6f', 'hex'),
    // A record that is longer than any may be.
    Buffer.from('160301ffff', 'hex'),
  ];

  it.for([
    ['agents', 'tls'],
    ['agents', 'mtls'],
    ['reviewers', 'tls'],
  ] as const)('on the %s’ listener, %s', async ([plane, transport], { gateways }) => {
    const environment = gateways[transport];
    const cases = NO_HANDSHAKE.flatMap((bytes) => ENDINGS.map((ending) => ({ bytes, ending })));
    await inParallel(cases, async ({ bytes, ending }) => {
      const socket = connectPlain(environment.ports[plane], '127.0.0.1');
      await finish(socket, socket, [bytes], ending, 'connect');
    });
    await stillServes(environment, transport);
  });
});

async function inParallel<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 48 }, async () => {
      for (const item of queue) await each(item);
    }),
  );
}

async function drive(stranger: Issued, port: number, transport: Transport, { pieces, ending }: Case): Promise<void> {
  const raw = connectPlain({ port, host: '127.0.0.1', noDelay: true });
  if (transport === 'plain') return finish(raw, raw, pieces, ending, 'connect');
  const certificate = transport === 'mtls' ? { cert: stranger.pem, key: stranger.keyPem } : {};
  const secure = connectTls({ socket: raw, rejectUnauthorized: false, ...certificate });
  return finish(raw, secure, pieces, ending, 'secureConnect');
}

/** Writes the pieces, ends as told, and resolves when the connection is closed. */
async function finish(
  raw: Socket,
  socket: Socket,
  pieces: readonly (string | Buffer)[],
  ending: Case['ending'],
  ready: string,
): Promise<void> {
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  for (const each of new Set([raw, socket])) each.on('error', () => {});
  const reset = (): void => {
    raw.resetAndDestroy();
    socket.destroy();
  };
  const answered = Promise.race([new Promise((resolve) => void socket.once('data', resolve)), closed]);
  socket.resume();
  await Promise.race([once(socket, ready).catch(() => {}), closed]);
  for (const piece of pieces)
    await new Promise<void>((resolve) =>
      socket.destroyed ? resolve() : void socket.write(piece, 'latin1' as never, () => resolve()),
    );
  if (ending === 'fin') socket.end();
  else if (ending === 'rst') reset();
  else await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 100))]);
  // Whoever waits for the gateway to close has waited long enough after a while: this is about the process.
  const patience = setTimeout(reset, 150);
  await closed;
  clearTimeout(patience);
}

async function stillServes(environment: Environment, transport: Transport): Promise<void> {
  const live = await fetch(`http://127.0.0.1:${environment.ports.ops}/livez`);
  expect(live.status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${environment.ports.ops}/readyz`)).status).toBe(200);
  if (transport === 'plain') {
    expect((await environment.call('/api/a')).status).toBe(200);
    expect((await (await environment.reviewer('alice')).request('/holds')).status).toBe(200);
  }
  const faults = [
    'countersign.process.fault',
    'countersign.connection.failed',
    'countersign.call.failed',
    'review.connection',
  ];
  expect(environment.log.filter(({ event }) => faults.includes(String(event)))).toEqual([]);
}
