// An upgrade is another action than the request without it, and everything that is said in its handshake is part of it.
// Pins the kind of fault in which something that the upstream acts on is sent outside of what was decided on and
// approved.

import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { beforeEach, describe, expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';

/** What a handshake may say beside its key. */
interface Offer {
  readonly protocols?: readonly string[];
  readonly extensions?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the upstream got: `upgrade` or the method, and the target. */
const seen: string[] = [];
const handshakes: IncomingMessage[] = [];
const server = createServer((incoming, response) => {
  seen.push(`${incoming.method} ${incoming.url}`);
  response.end('{}');
});
/** How the upstream answers a handshake at /odd. */
const adds = { field: '' };
const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });

const it = gatewayTest
  .extend('env', file, async ({ environment, closes }) => {
    server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      seen.push(`upgrade ${incoming.url}`);
      handshakes.push(incoming);
      if (incoming.url === '/odd') sockets.once('headers', (headers) => void headers.push(adds.field));
      sockets.handleUpgrade(incoming, socket, head, (open) => {
        open.on('message', (data) => open.send(`echo ${data}`));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const env = await environment({
      upstreams: {
        live: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, credential: 'key', websocket: true },
      },
      rules: [
        rule.hold('both-held', { upstream: 'live', path: '/held*' }, { wholeSession: true }),
        rule.allow('gets', { upstream: 'live', path: '/gets*', methods: ['GET'] }),
        rule.allow('anything', { upstream: 'live', path: '/anything*' }),
        rule.allow('sockets', { upstream: 'live', path: '/:way(open|odd|never)', upgrade: true }),
        rule.deny('never', { upstream: 'live', path: '/never' }),
        rule.allow(
          'chats',
          { upstream: 'live', path: '/chats', upgrade: true },
          { when: 'request.upgrade && request.subprotocols == ["chat"]' },
        ),
        rule.hold('plain-held', { upstream: 'live', path: '/plain', upgrade: false }),
        rule.allow('plain', { upstream: 'live', path: '/plain', upgrade: true }),
      ],
      limits: { wait: '20s', pendingPerAgent: 200 },
    });
    await closes({
      close: () => {
        sockets.close();
        server.closeAllConnections();
        server.close();
      },
    });
    return env;
  })
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

beforeEach(() => {
  seen.length = 0;
  handshakes.length = 0;
});

async function dial(
  env: Environment,
  path: string,
  { protocols = [], extensions, headers = {} }: Offer = {},
  claims: Readonly<Record<string, unknown>> = {},
): Promise<WebSocket> {
  return new WebSocket(`ws://127.0.0.1:${env.ports.agents}${path}`, [...protocols], {
    headers: {
      authorization: `Bearer ${await env.token('agent-1', claims)}`,
      prefer: 'wait=0',
      ...(extensions !== undefined && { 'sec-websocket-extensions': extensions }),
      ...headers,
    },
    perMessageDeflate: false,
  });
}

/** `open`, or the code of the refusal and the hold that it names. */
async function outcome(socket: WebSocket): Promise<{ readonly code: string; readonly hold: string }> {
  const opened = once(socket, 'open').then(() => ({ code: 'open', hold: '' }));
  const refused = once(socket, 'unexpected-response').then(async ([, response]) => {
    let text = '';
    for await (const piece of response as IncomingMessage) text += piece;
    return {
      code: (JSON.parse(text) as { code: string }).code,
      hold: String(response.headers['countersign-hold'] ?? ''),
    };
  });
  socket.on('error', () => {});
  const found = await Promise.race([opened, refused]);
  socket.terminate();
  return found;
}

const open = async (env: Environment, path: string, offer?: Offer) => outcome(await dial(env, path, offer));

/** A handshake byte by byte, as no client library would write it. */
async function raw(env: Environment, path: string, ...fields: readonly string[]): Promise<string> {
  const lines = [
    'Host: gw.test',
    `Authorization: Bearer ${await env.token('agent-1')}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
  ];
  const { text } = await sendRaw(
    env.ports.agents,
    `GET ${path} HTTP/1.1\r\n${[...lines, ...fields].join('\r\n')}\r\n\r\n`,
  );
  return /"code":"(\w+)"/.exec(text)?.[1] ?? text;
}

describe('an approval', () => {
  it('for a plain GET opens no WebSocket, and one for a WebSocket sends no plain GET', async ({ env, alice }) => {
    const plain = await env.call('/live/held', { headers: { prefer: 'wait=0' } });
    const get = plain.headers.get('countersign-hold') ?? '';
    await alice.approve(get);
    const socket = await open(env, '/live/held');
    expect(socket).toMatchObject({ code: 'approval_pending' });
    expect(socket.hold).not.toBe(get);
    await alice.approve(socket.hold);
    expect((await env.call('/live/held', { headers: { prefer: 'wait=0' } })).headers.get('countersign-hold')).toBe(get);
    const again = await env.call('/live/held', { headers: { prefer: 'wait=0' } });
    expect(((await again.json()) as { code: string }).code).toBe('approval_pending');
    expect(await open(env, '/live/held')).toEqual({ code: 'open', hold: '' });
    expect(seen).toEqual(['GET /held', 'upgrade /held']);
  });

  const others: Readonly<Record<string, Offer>> = {
    'another subprotocol': { protocols: ['admin'], extensions: 'permessage-deflate' },
    'one more subprotocol': { protocols: ['chat', 'admin'], extensions: 'permessage-deflate' },
    'the subprotocols in another order': { protocols: ['v2.chat', 'chat'], extensions: 'permessage-deflate' },
    'the subprotocol in other letters': { protocols: ['CHAT'], extensions: 'permessage-deflate' },
    'no subprotocol': { extensions: 'permessage-deflate' },
    'another extension': { protocols: ['chat'], extensions: 'x-admin' },
    'one more extension': { protocols: ['chat'], extensions: 'permessage-deflate, x-admin' },
    'another parameter of an extension': {
      protocols: ['chat'],
      extensions: 'permessage-deflate; client_max_window_bits=8',
    },
    'no extension': { protocols: ['chat'] },
  };
  it.for(Object.entries(others))(
    'for a WebSocket is not used for one with %s',
    async ([what, offer], { env, alice }) => {
      const path = `/live/held/${encodeURIComponent(what).replaceAll('%20', '-')}`;
      const first = await open(env, path, { protocols: ['chat'], extensions: 'permessage-deflate' });
      expect(first.code).toBe('approval_pending');
      await alice.approve(first.hold);
      const other = await open(env, path, offer);
      expect(other.code).toBe('approval_pending');
      expect(other.hold).not.toBe(first.hold);
      expect(seen).toEqual([]);
      expect(await open(env, path, { protocols: ['chat'], extensions: 'permessage-deflate' })).toMatchObject({
        code: 'open',
      });
      expect(handshakes[0]?.headers).toMatchObject({
        'sec-websocket-protocol': 'chat',
        'sec-websocket-extensions': 'permessage-deflate',
      });
    },
  );

  it('is asked for with everything that the handshake offers', async ({ env, alice }) => {
    const { hold } = await open(env, '/live/held/shown', {
      protocols: ['chat', 'v2.chat'],
      extensions: 'permessage-deflate;client_max_window_bits',
    });
    expect(await alice.show(hold)).toMatchObject({
      action: {
        upgrade: {
          protocol: 'websocket',
          subprotocols: ['chat', 'v2.chat'],
          extensions: ['permessage-deflate; client_max_window_bits'],
        },
      },
    });
    const plain = await env.call('/live/held/shown', { headers: { prefer: 'wait=0' } });
    expect((await alice.show(plain.headers.get('countersign-hold') ?? '')).action).not.toHaveProperty('upgrade');
  });

  it('is not used when the agent has left', async ({ env, alice }) => {
    // Listening first: the hold may be there before the next line.
    const opened = await alice.expect('PENDING');
    const socket = await dial(env, '/live/held/left', { headers: { prefer: 'wait=20' } });
    socket.on('error', () => {});
    const id = await opened.hold;
    socket.terminate();
    await expect
      .poll(() =>
        env.log.some(
          ({ event, path, error }) =>
            event === 'countersign.call.completed' && path === '/held/left' && error === 'client_closed',
        ),
      )
      .toBe(true);
    await alice.approve(id);
    expect((await alice.show(id)).state).toBe('APPROVED');
    expect(seen).toEqual([]);
  });
});

describe('a rule', () => {
  it('that allows, and says nothing of upgrades, lets no WebSocket be opened', async ({ env }) => {
    for (const path of ['/live/gets', '/live/anything', '/live/anything/else']) {
      expect(await open(env, path)).toMatchObject({ code: 'no_matching_rule' });
      expect((await env.call(path)).status).toBe(200);
    }
    expect(seen).toEqual(['GET /gets', 'GET /anything', 'GET /anything/else']);
  });

  it('that allows upgrades lets nothing else through', async ({ env }) => {
    expect(await open(env, '/live/open')).toMatchObject({ code: 'open' });
    expect((await env.call('/live/open')).status).toBe(403);
    expect((await env.call('/live/open', { method: 'HEAD' })).status).toBe(403);
    expect((await env.call('/live/open', { method: 'POST', body: {} })).status).toBe(403);
    expect(seen).toEqual(['upgrade /open']);
  });

  it('that denies is about both, and one may be about plain requests alone', async ({ env }) => {
    expect(await open(env, '/live/never')).toMatchObject({ code: 'denied' });
    expect(await open(env, '/live/plain')).toMatchObject({ code: 'open' });
    expect((await env.call('/live/plain', { headers: { prefer: 'wait=0' } })).status).toBe(409);
  });

  it('may read what is offered', async ({ env }) => {
    expect(await open(env, '/live/chats', { protocols: ['chat'] })).toMatchObject({ code: 'open' });
    expect(await open(env, '/live/chats', { protocols: ['chat', 'admin'] })).toMatchObject({
      code: 'no_matching_rule',
    });
    expect(await open(env, '/live/chats')).toMatchObject({ code: 'no_matching_rule' });
  });
});

describe('a handshake', () => {
  const jwt = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.c2ln`;
  const own = 'opaque-8f3b21';
  const credentials: Readonly<Record<string, Offer>> = {
    'as Kubernetes reads it': {
      protocols: [
        `base64url.bearer.authorization.k8s.io.${Buffer.from(jwt).toString('base64url')}`,
        'v4.channel.k8s.io',
      ],
    },
    'behind a name': { protocols: ['Bearer', 'abc.def'] },
    'behind another name': { protocols: ['access_token', 'abcdef'] },
    'as a JWT alone': { protocols: [jwt] },
    'as AppSync reads it': {
      protocols: [`header-${Buffer.from('{"Authorization":"a"}').toString('base64url')}`, 'graphql-ws'],
    },
    'as a key of a model provider': { protocols: ['realtime', 'openai-insecure-api-key.sk-abc'] },
    'that another field holds': { protocols: ['chat', own], headers: { 'x-agent-pass': own } },
    'that another field holds, in base64': {
      protocols: [`x.${Buffer.from(own).toString('base64url')}`],
      headers: { 'x-agent-pass': `Own ${own}` },
    },
    'that another field holds, in hex': {
      protocols: [Buffer.from(own).toString('hex')],
      headers: { 'x-agent-pass': own },
    },
    'in a cookie’s value': { protocols: [own], headers: { cookie: `sid=${own}` } },
    'too long to be a name': { protocols: ['q'.repeat(49)] },
    'in an extension': { extensions: `permessage-deflate; x=${own}`, headers: { 'x-agent-pass': own } },
    'in a named parameter of an extension': { extensions: 'foo; token=abc' },
  };
  it.for(Object.entries(credentials))('that carries a credential %s is refused', async ([_how, offer], { env }) => {
    expect(await open(env, '/live/open', offer)).toMatchObject({ code: 'bad_header' });
    expect(seen).toEqual([]);
  });

  const unclear: Readonly<Record<string, readonly string[]>> = {
    'no key': [],
    'two keys': ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
    'a key that is longer': ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQdGhlIHNhbXBsZSBub25jZQ=='],
    'a key that is a word': ['Sec-WebSocket-Key: admin'],
  };
  it.for(Object.entries(unclear))('with %s is refused', async ([_how, fields], { env }) => {
    expect(await raw(env, '/live/open', ...fields)).toBe('upgrade_refused');
  });
  const doubtful: Readonly<Record<string, string>> = {
    'a subprotocol that comes twice': 'Sec-WebSocket-Protocol: chat, chat',
    'a subprotocol that is no token': 'Sec-WebSocket-Protocol: chat;v=1',
    'a quoted subprotocol': 'Sec-WebSocket-Protocol: "chat, admin"',
    'an extension that is none': 'Sec-WebSocket-Extensions: a=b',
    'an extension with a quoted comma': 'Sec-WebSocket-Extensions: a; b="c, d"',
    'many subprotocols': `Sec-WebSocket-Protocol: ${Array.from({ length: 17 }, (_, n) => `p${n}`).join(', ')}`,
  };
  it.for(Object.entries(doubtful))('with %s is refused', async ([_how, field], { env }) => {
    expect(await raw(env, '/live/open', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', field)).toBe('bad_header');
    expect(seen).toEqual([]);
  });

  it('reaches the upstream as it was decided on, whatever spelling and number of fields it came in', async ({
    env,
  }) => {
    const socket = await dial(env, '/live/open', {
      protocols: ['chat'],
      headers: { 'sec-websocket-accept': 'x', 'x-note': 'kept' },
    });
    await once(socket, 'open');
    socket.terminate();
    const names = handshakes[0]?.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names?.filter((name) => name.startsWith('sec-websocket-')).toSorted()).toEqual([
      'sec-websocket-key',
      'sec-websocket-protocol',
      'sec-websocket-version',
    ]);
  });

  it.for([
    ['a subprotocol', 'Sec-WebSocket-Protocol: admin'],
    ['an extension', 'Sec-WebSocket-Extensions: x-admin'],
  ] as const)('whose upstream chooses %s that was not offered is not passed on', async ([_what, field], { env }) => {
    adds.field = field;
    expect(await open(env, '/live/odd')).toMatchObject({ code: 'upstream_protocol' });
  });
});

it('a WebSocket ends with the token that it was opened with', async ({ env }) => {
  const expiresAt = Math.floor(Date.now() / 1000) + 3;
  const socket = await dial(env, '/live/open', {}, { exp: expiresAt });
  await once(socket, 'open');
  socket.send('hello');
  expect(String((await once(socket, 'message'))[0])).toBe('echo hello');
  await once(socket, 'close');
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1000);
  await expect
    .poll(() => env.log.findLast(({ event, path }) => event === 'countersign.call.completed' && path === '/open'))
    .toMatchObject({ error: 'token_expired' });
});
