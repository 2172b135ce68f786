// A decision that rests on what a task has done holds until the task has done something else. Pins the kind of fault in
// which something is opened before the fact that would have forbidden it and is used after: uploads, WebSockets,
// streamed answers, calls that wait for their turn.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const SECRET_READ = 'task.calls.exists(c, c.path == "/secret" && c.status == 200)';

const closing: (() => unknown)[] = [];
/** What the live upstream got over its connections. */
const received: string[] = [];
const streams = new Map<string, ServerResponse>();
const live = createServer((incoming, response) => {
  received.push(`${incoming.method} ${incoming.url}`);
  incoming.on('data', (piece) => received.push(String(piece)));
  incoming.on('close', () => received.push(`closed ${incoming.url} ${incoming.complete}`));
  if (incoming.method !== 'GET') return;
  streams.set(incoming.url ?? '', response);
  response
    .writeHead(200, {
      'content-type': incoming.url?.includes('events') === true ? 'text/event-stream' : 'application/octet-stream',
    })
    .write('first|');
});

const it = gatewayTest.extend('env', file, async ({ environment, closes }) => {
  const sockets = new WebSocketServer({ server: live });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      received.push(String(data));
      socket.send(`echo ${data}`);
    });
  });
  live.listen(0, '127.0.0.1');
  await once(live, 'listening');
  const env = await environment({
    upstreams: {
      live: {
        url: `http://127.0.0.1:${(live.address() as AddressInfo).port}`,
        websocket: true,
        pool: { connections: 2 },
      },
    },
    rules: [
      rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
      rule.allow('allowed', { upstream: 'live', path: '/denied*' }),
      rule.allow('allowed-sockets', { upstream: 'live', path: '/denied*', upgrade: true }),
      rule.deny('denied', { upstream: 'live', path: '/denied*' }, { when: SECRET_READ }),
      rule.allow('only-before', { upstream: 'live', path: '/only-before*' }, { when: `!${SECRET_READ}` }),
      rule.allow(
        'sockets-before',
        { upstream: 'live', path: '/only-before*', upgrade: true },
        { when: `!${SECRET_READ}` },
      ),
      rule.allow('first-alone', { upstream: 'live', path: '/first-alone*' }, { when: 'task["calls"].size() < 1' }),
      rule.hold('held-after', { upstream: 'live', path: '/held-after*' }, { when: SECRET_READ, wholeSession: true }),
      rule.allow('before-held', { upstream: 'live', path: '/held-after*' }),
      rule.allow('whenever', { upstream: 'live', path: '/whenever*' }),
      rule.allow('sockets-whenever', { upstream: 'live', path: '/whenever*', upgrade: true }),
    ],
    reviewers: { killSwitch: ['group:soc'] },
    limits: { wait: '0s' },
  });
  await closes({
    close: () => {
      for (const close of closing) close();
      sockets.close();
      live.closeAllConnections();
      live.close();
    },
  });
  return env;
});
afterEach(() => {
  received.length = 0;
  for (const response of streams.values()) response.end();
  streams.clear();
});

async function openTask(env: Environment, as = 'agent-1'): Promise<string> {
  const answer = await env.call('/countersign/v1/tasks', {
    method: 'POST',
    as,
    body: { objective: 'tidy up', plan: [], labels: [] },
  });
  return ((await answer.json()) as { id: string }).id;
}

const readSecret = async (env: Environment, task: string): Promise<number> =>
  (await env.call('/api/secret', { headers: { 'countersign-task': task } })).status;

/** An upload over a connection of its own, of which only the beginning is sent. */
async function beginUpload(
  env: Environment,
  path: string,
  task: string | undefined,
  type: string,
  length?: number,
  as = 'agent-1',
) {
  const socket: Socket = connect(env.ports.agents, '127.0.0.1');
  closing.push(() => socket.destroy());
  let heard = '';
  socket.on('data', (piece) => {
    heard += piece;
  });
  socket.on('error', () => {});
  const fields = [
    'Host: gw.test',
    `Authorization: Bearer ${await env.token(as)}`,
    `Content-Type: ${type}`,
    ...(task === undefined ? [] : [`Countersign-Task: ${task}`]),
  ];
  const framing = length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  const piece = (text: string): string => (length === undefined ? `${text.length.toString(16)}\r\n${text}\r\n` : text);
  socket.write(`PUT ${path} HTTP/1.1\r\n${[...fields, framing].join('\r\n')}\r\nExpect: 100-continue\r\n\r\n`);
  // Asked for only when somebody reads it.
  await expect.poll(() => heard).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  heard = '';
  socket.write(piece('first|'));
  return {
    socket,
    async finish(text: string): Promise<string> {
      socket.write(piece(text) + (length === undefined ? '0\r\n\r\n' : ''));
      await expect.poll(() => heard).toMatch(/^HTTP\/1\.1 \d{3}/);
      return heard.slice(9, 12);
    },
  };
}

async function openSocket(env: Environment, path: string, task: string): Promise<WebSocket> {
  const headers = { authorization: `Bearer ${await env.token('agent-1')}`, 'countersign-task': task };
  const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}${path}`, { headers });
  socket.on('error', () => {});
  await once(socket, 'open');
  closing.push(() => socket.terminate());
  return socket;
}

async function openStream(
  env: Environment,
  path: string,
  task: string,
): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await env.call(path, { headers: { 'countersign-task': task } });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('first|');
  return reader;
}

describe('an upload that was begun before the read and is finished after it', () => {
  it.for([
    ['a deny rule', '/live/denied', 'application/octet-stream'],
    ['a deny rule, as JSON', '/live/denied', 'application/json'],
    ['a deny rule, as a form', '/live/denied', 'multipart/form-data; boundary=x'],
    ['an allow rule', '/live/only-before', 'image/png'],
    ['an allow rule on how many calls there were', '/live/first-alone', 'text/plain'],
    ['a hold rule', '/live/held-after', 'text/plain'],
  ] as const)(
    'is judged by %s with the read in its history, and not a byte of it was sent',
    { timeout: 60_000 },
    async ([_rule, path, type], { env }) => {
      for (const length of [undefined, 'first|SECRET'.length]) {
        const task = await openTask(env);
        const upload = await beginUpload(env, path, task, type, length);
        expect(await readSecret(env, task)).toBe(200);
        expect(await upload.finish('SECRET')).toBe(path.includes('held') ? '409' : '403');
        expect(received).toEqual([]);
        upload.socket.destroy();
      }
    },
  );

  it('goes through whole where nothing forbids it, whatever its type and bytes', async ({ env }) => {
    const task = await openTask(env);
    const upload = await beginUpload(env, '/live/only-before', task, 'image/png', 'first|\u00ff\u0000'.length);
    const done = upload.finish('\u00ff\u0000');
    await expect.poll(() => received.filter((entry) => entry.startsWith('closed'))).toEqual([]);
    await expect.poll(() => received.join(' ')).toContain('PUT /only-before first|');
    upload.socket.destroy();
    await done.catch(() => {});
  });

  it('is streamed as before where no rule asks for the history', async ({ env }) => {
    const task = await openTask(env);
    const upload = await beginUpload(env, '/live/whenever', task, 'application/octet-stream');
    await expect.poll(() => received).toEqual(['PUT /whenever', 'first|']);
    upload.socket.destroy();
  });
});

describe('what is open when its task reads the secret', () => {
  it.for(['/live/denied', '/live/only-before'])(
    'is cut: a WebSocket under %s, before the agent could say what it has read',
    async (path, { env }) => {
      const task = await openTask(env);
      const socket = await openSocket(env, path, task);
      socket.send('hello');
      await once(socket, 'message');
      const closed = once(socket, 'close');
      expect(await readSecret(env, task)).toBe(200);
      socket.send('SECRET');
      await closed;
      expect(received.filter((entry) => !entry.startsWith('closed'))).toEqual(['hello']);
      await expect
        .poll(() =>
          env.log.findLast((line) => line.event === 'countersign.call.completed' && line.path === path.slice(5)),
        )
        .toMatchObject({ error: 'denied' });
    },
  );

  it.for(['/live/denied/events', '/live/only-before/events', '/live/denied/file'])(
    'is cut: a streamed answer under %s',
    async (path, { env }) => {
      const task = await openTask(env);
      const reader = await openStream(env, path, task);
      expect(await readSecret(env, task)).toBe(200);
      await expect(reader.read()).rejects.toThrow();
    },
  );

  it('stays open where no rule about it reads the history, and where it belongs to another task', async ({ env }) => {
    const [task, other] = [await openTask(env), await openTask(env)];
    const [free, elsewhere] = [
      await openSocket(env, '/live/whenever', task),
      await openSocket(env, '/live/denied', other),
    ];
    expect(await readSecret(env, task)).toBe(200);
    for (const socket of [free, elsewhere]) {
      socket.send('still here');
      expect(String((await once(socket, 'message'))[0])).toBe('echo still here');
      socket.terminate();
    }
  });

  it('does not count itself', async ({ env }) => {
    const task = await openTask(env);
    const reader = await openStream(env, '/live/first-alone', task);
    streams.get('/first-alone')?.end('last');
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('last');
  });

  it('is refused when it was allowed and had not gone out yet', async ({ env }) => {
    const [task, other] = [await openTask(env), await openTask(env)];
    // Both connections of the pool are taken, so that the call waits for one.
    const taken = [await openSocket(env, '/live/whenever', other), await openSocket(env, '/live/whenever', other)];
    const waiting = env.call('/live/denied', { headers: { 'countersign-task': task } });
    // Calls of a task stand in its history from their clearance on.
    await expect
      .poll(async () => (await env.call('/api/count', { headers: { 'countersign-task': task } })).status)
      .toBe(200);
    expect(await readSecret(env, task)).toBe(200);
    for (const socket of taken) socket.terminate();
    const answer = await waiting;
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([403, 'denied']);
    expect(received.filter((entry) => entry.startsWith('GET'))).toEqual([]);
  });
});

describe('the kill switch', () => {
  it.for([
    ['that is streamed', undefined],
    ['that is small, and collected before it is sent', 5_000],
  ] as const)('cuts an upload %s', async ([_how, length], { env }) => {
    const as = `agent-cut-${length}`;
    const upload = await beginUpload(env, '/live/whenever', undefined, 'application/octet-stream', length, as);
    if (length === undefined) await expect.poll(() => received).toEqual(['PUT /whenever', 'first|']);
    const closed = once(upload.socket, 'close');
    const soc = await env.reviewer('sam', ['soc']);
    const suspended = async () =>
      (await (await soc.post('/suspensions', { principal: `${env.issuer.issuer}#${as}`, reason: 'odd' })).json()) as {
        cutConnections: number;
      };
    expect((await suspended()).cutConnections).toBe(1);
    await closed;
    if (length === undefined) await expect.poll(() => received.at(-1)).toBe('closed /whenever false');
    else expect(received.filter((entry) => entry.startsWith('PUT'))).toEqual([]);
  });
});
