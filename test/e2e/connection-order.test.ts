// The order and the end of connections. Kinds: an answer that a client would take for that of another request; a
// connection that is held although nobody is there; a call that is carried out for an agent that has left.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { type GivenConfig, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createAuthority } from '../support/spiffe-authority.ts';

const accepted: WebSocket[] = [];

const configFor = (sockets: WebSocketServer): GivenConfig => ({
  upstreams: {
    api: { websocket: true },
    sockets: {
      url: `http://127.0.0.1:${(sockets.address() as { port: number }).port}`,
      credential: 'key',
      websocket: true,
    },
  },
  rules: [
    rule.allow('reads', { upstream: 'api', methods: ['GET'], path: '/open' }),
    rule.hold('held-reads', { upstream: 'api', methods: ['GET'], path: '/held/*' }, { wholeSession: true }),
    rule.allow('sockets', { upstream: 'sockets', path: '/open', upgrade: true }),
    rule.hold('held-sockets', { upstream: 'sockets', path: '/held/*', upgrade: true }, { wholeSession: true }),
  ],
});

const it = gatewayTest
  .extend('authority', file, () => createAuthority('prod.test'))
  // PEM of the authority behind the certificate of `secure`.
  .extend('ca', file, ({ authority }) => authority.pem)
  .extend('sockets', file, async ({ closes }) => {
    const sockets = await closes(new WebSocketServer({ port: 0, host: '127.0.0.1' }));
    sockets.on(
      'connection',
      (socket) => void accepted.push(socket.on('error', () => {}).on('message', (data) => socket.send(`echo ${data}`))),
    );
    await once(sockets, 'listening');
    return sockets;
  })
  .extend('plain', file, ({ sockets, environment }) => environment(configFor(sockets)))
  .extend('secure', file, async ({ folder, authority, sockets, environment }) => {
    const own = await authority.issue({ uris: ['spiffe://prod.test/gateway'], dns: ['localhost'] });
    writeFileSync(join(folder, 'cert.pem'), own.pem);
    writeFileSync(join(folder, 'key.pem'), own.keyPem);
    const tls = { certificate: join(folder, 'cert.pem'), key: { file: join(folder, 'key.pem') } };
    return environment({ ...configFor(sockets), listeners: { agents: { tls }, reviewers: { tls } } });
  })
  .extend('token', file, ({ plain }) => plain.token('agent-1'));

const head = (line: string, ...fields: readonly string[]): string =>
  [`${line} HTTP/1.1`, 'Host: x', ...fields, '', ''].join('\r\n');
const call = (token: string, path: string, ...fields: readonly string[]): string =>
  head(`GET ${path}`, `Authorization: Bearer ${token}`, ...fields);
const handshake = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

describe('answers on one connection', () => {
  // Each comes while the answer before it is not there yet.
  it.for([
    ['bytes that are no request', '\x00garbage\r\n\r\n', ['200', '400']],
    ['a second Host', head('GET /api/open', 'Host: y', 'Connection: close'), ['200', '400']],
    ['a head that is too large', head('GET /api/open', `X-Long: ${'a'.repeat(20_000)}`), ['200', '431']],
    ['a WebSocket handshake', (token: string) => call(token, '/sockets/open', ...handshake), ['200', '426']],
    [
      'an offer that is ignored',
      (token: string) => call(token, '/api/nowhere', 'Connection: Upgrade', 'Upgrade: h2c'),
      ['200', '403'],
    ],
    ['a request that closes', (token: string) => call(token, '/api/nowhere', 'Connection: close'), ['200', '403']],
    // Nothing can be said after it: the connection is no longer HTTP.
    ['CONNECT', head('CONNECT a.test:443'), []],
  ] as const)(
    'keep their order: %s behind a request whose answer comes late',
    async ([_name, second, statuses], { plain, token }) => {
      const answer = Promise.withResolvers<void>();
      plain.upstream.respond((_request, response) => void answer.promise.then(() => response.end('{"late":true}')));
      const before = plain.upstream.requests.length;
      const socket = connect({ port: plain.ports.agents, host: '127.0.0.1', noDelay: true });
      const text = everything(socket);
      socket.write(call(token, '/api/open') + (typeof second === 'string' ? second : second(token)));
      if (statuses.length > 0) await plain.upstream.arrived(before);
      answer.resolve();
      expect((await text).match(/(?<=HTTP\/1\.1 )\d+/g) ?? []).toEqual(statuses);
    },
  );
});

describe('an agent that leaves while its calls are held', () => {
  const leave = {
    closes: (socket: Socket) => socket.end(),
    resets: (socket: Socket) => socket.resetAndDestroy(),
    'connects elsewhere': (socket: Socket) => void socket.write(head('CONNECT a.test:443')),
    'sends what is no request and closes': (socket: Socket) => socket.end('\x00garbage\r\n\r\n'),
  };
  const bodies = {
    'one call': (token: string, id: string) => [call(token, `/api/held/${id}`)],
    'two on one connection': (token: string, id: string) => [
      call(token, `/api/held/${id}-1`) + call(token, `/api/held/${id}-2`),
    ],
    'a WebSocket handshake': (token: string, id: string) => [call(token, `/sockets/held/${id}`, ...handshake)],
    'a WebSocket handshake and a frame': (token: string, id: string) => [
      call(token, `/sockets/held/${id}`, ...handshake),
      Buffer.from('818500000000', 'hex'),
    ],
  };
  const ways = Object.keys(leave).flatMap((way) => Object.keys(bodies).map((body) => [body, way] as const));
  // Behind a handshake it is no request of its own, only bytes that come early.
  const possible = ways.filter(([body, way]) => way !== 'connects elsewhere' || !body.includes('WebSocket'));

  it.for(possible)('has none of them carried out: %s, and the agent %s', async ([body, way], { plain, token }) => {
    const id = `${Object.keys(bodies).indexOf(body)}-${Object.keys(leave).indexOf(way)}`;
    const reviewer = await plain.reviewer('alice');
    const before = [plain.upstream.requests.length, accepted.length];
    const socket = connect({ port: plain.ports.agents, host: '127.0.0.1', noDelay: true }).on('error', () => {});
    for (const piece of bodies[body as keyof typeof bodies](token, id)) socket.write(piece);
    const mine = async () =>
      (await reviewer.list('all')).filter(({ action }) => JSON.stringify(action).includes(`/held/${id}`));
    let holds = await mine();
    while (holds.length === 0) holds = await mine();
    leave[way as keyof typeof leave](socket);
    for (const hold of holds) {
      await completed(plain, hold.id);
      await reviewer.approve(hold.id);
    }
    // What came behind the held call had no turn yet, and gets none.
    expect(await mine()).toHaveLength(1);
    expect((await fetch(`http://127.0.0.1:${plain.ports.ops}/livez`)).status).toBe(200);
    expect([plain.upstream.requests.length, accepted.length]).toEqual(before);
    socket.destroy();
  });
});

describe('a WebSocket that is joined', () => {
  it.for(['agent', 'upstream'] as const)(
    'ends at both ends when the %s is gone, however it went',
    async (gone, { ca, sockets, plain, secure, token }) => {
      for (const environment of [plain, secure]) {
        for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
          const before = accepted.length;
          const raw = connect({ port: environment.ports.agents, host: '127.0.0.1' });
          const socket = (environment === plain ? raw : connectTls({ socket: raw, ca, servername: 'localhost' })).on(
            'error',
            () => {},
          );
          const closed = everything(socket);
          socket.write(call(token, '/sockets/open', ...handshake).replace(token, await environment.token('agent-1')));
          while (accepted.length === before) await once(sockets, 'connection');
          const upstream = accepted[before] as WebSocket & { readonly _socket: Socket };
          const both = Promise.all([closed, once(upstream, 'close')]);
          const side = gone === 'upstream' ? upstream._socket : how === 'resetAndDestroy' ? raw : socket;
          if (gone === 'agent' && how !== 'end') socket.destroy();
          side[how]();
          await both;
        }
        expect((await fetch(`http://127.0.0.1:${environment.ports.ops}/readyz`)).status).toBe(200);
      }
    },
  );
});

describe('a connection without a call', () => {
  it('is closed when its TLS handshake does not end', { timeout: 60_000 }, async ({ secure }) => {
    const beginnings = [
      Buffer.alloc(0),
      Buffer.from('16', 'hex'),
      Buffer.from('160301020001000001fc0303', 'hex'),
      Buffer.from('1603010200010000', 'hex'),
    ];
    const all = [secure.ports.agents, secure.ports.reviewers].flatMap((port) =>
      Array.from({ length: 60 }, async (_, i) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        socket.write(beginnings[i % beginnings.length] as Buffer);
        return everything(socket);
      }),
    );
    for (const text of await Promise.all(all)) expect(text).not.toMatch(/HTTP/);
  });

  it('is closed when no request comes, or no whole one', { timeout: 60_000 }, async ({ plain }) => {
    const beginnings = ['', 'G', 'GET / HTTP/1.1\r\n', head('GET /x').slice(0, -1)];
    const all = Object.values(plain.ports).flatMap((port) =>
      beginnings.map((text) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        socket.write(text);
        return everything(socket);
      }),
    );
    for (const text of await Promise.all(all)) expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
  });

  it('hears plain HTTP on a TLS listener out and answers nothing', async ({ secure, token }) => {
    for (const port of [secure.ports.agents, secure.ports.reviewers]) {
      const socket = connect(port, '127.0.0.1');
      socket.write(call(token, '/api/open'));
      expect(await everything(socket)).not.toMatch(/HTTP/);
    }
  });
});

/** What comes on this connection until it is closed. */
async function everything(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('error', () => {}).on('data', (piece: Buffer) => void pieces.push(piece));
  socket.on('end', () => socket.end());
  await new Promise((resolve) => void socket.on('close', resolve));
  return Buffer.concat(pieces).toString('latin1');
}

/** The gateway's own word that the call behind this hold has ended without being sent. */
async function completed({ log, ports }: Environment, hold: string): Promise<void> {
  const line = () =>
    log.find((each) => each.event === 'countersign.call.completed' && JSON.stringify(each).includes(hold));
  while (line() === undefined) await fetch(`http://127.0.0.1:${ports.ops}/livez`);
  expect(line()).toMatchObject({ error: 'client_closed' });
}
