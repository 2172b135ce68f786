// A decision that rests on what a task has done holds until the task has done something else. Pins the kind of fault in
// which something is opened before the fact that would have forbidden it and is used after: uploads, WebSockets,
// streamed answers, calls that wait for their turn.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Environment, startEnvironment } from '../support/environment.ts';

const SECRET_READ = 'task.calls.exists(c, c.path == "/secret" && c.status == 200)';

let env: Environment;
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

beforeAll(async () => {
  const sockets = new WebSocketServer({ server: live });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      received.push(String(data));
      socket.send(`echo ${data}`);
    });
  });
  live.listen(0, '127.0.0.1');
  await once(live, 'listening');
  env = await startEnvironment({
    upstreams: `  live: { url: "http://127.0.0.1:${(live.address() as AddressInfo).port}", websocket: true, pool: { connections: 2 } }`,
    limits: '{ wait: 0s }',
    reviewers: '  killSwitch: ["group:soc"]',
    rules: `
  - { id: reads, match: { upstream: api, methods: [GET] }, decide: allow }
  - { id: allowed, match: { upstream: live, path: "/denied*" }, decide: allow }
  - { id: allowed-sockets, match: { upstream: live, path: "/denied*", upgrade: true }, decide: allow }
  - { id: denied, match: { upstream: live, path: "/denied*" }, when: '${SECRET_READ}', decide: deny }
  - { id: only-before, match: { upstream: live, path: "/only-before*" }, when: '!${SECRET_READ}', decide: allow }
  - { id: sockets-before, match: { upstream: live, path: "/only-before*", upgrade: true }, when: '!${SECRET_READ}', decide: allow }
  - { id: first-alone, match: { upstream: live, path: "/first-alone*" }, when: 'task["calls"].size() < 1', decide: allow }
  - { id: held-after, match: { upstream: live, path: "/held-after*" }, when: '${SECRET_READ}', decide: hold, tier: payment }
  - { id: before-held, match: { upstream: live, path: "/held-after*" }, decide: allow }
  - { id: whenever, match: { upstream: live, path: "/whenever*" }, decide: allow }
  - { id: sockets-whenever, match: { upstream: live, path: "/whenever*", upgrade: true }, decide: allow }
`,
  });
  closing.push(() => sockets.close());
});
afterEach(() => {
  received.length = 0;
  for (const response of streams.values()) response.end();
  streams.clear();
});
afterAll(async () => {
  await env.close();
  for (const close of closing) close();
  live.closeAllConnections();
  live.close();
});

async function openTask(as = 'agent-1'): Promise<string> {
  const answer = await env.call('/countersign/v1/tasks', {
    method: 'POST',
    as,
    body: { objective: 'tidy up', plan: [], labels: [] },
  });
  return ((await answer.json()) as { id: string }).id;
}

const readSecret = async (task: string): Promise<number> =>
  (await env.call('/api/secret', { headers: { 'countersign-task': task } })).status;

/** An upload over a connection of its own, of which only the beginning is sent. */
async function beginUpload(path: string, task: string | undefined, type: string, length?: number, as = 'agent-1') {
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

async function openSocket(path: string, task: string): Promise<WebSocket> {
  const headers = { authorization: `Bearer ${await env.token('agent-1')}`, 'countersign-task': task };
  const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}${path}`, { headers });
  socket.on('error', () => {});
  await once(socket, 'open');
  closing.push(() => socket.terminate());
  return socket;
}

async function openStream(path: string, task: string): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await env.call(path, { headers: { 'countersign-task': task } });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('first|');
  return reader;
}

describe('an upload that was begun before the read and is finished after it', () => {
  it.each([
    ['a deny rule', '/live/denied', 'application/octet-stream'],
    ['a deny rule, as JSON', '/live/denied', 'application/json'],
    ['a deny rule, as a form', '/live/denied', 'multipart/form-data; boundary=x'],
    ['an allow rule', '/live/only-before', 'image/png'],
    ['an allow rule on how many calls there were', '/live/first-alone', 'text/plain'],
    ['a hold rule', '/live/held-after', 'text/plain'],
  ])(
    'is judged by %s with the read in its history, and not a byte of it was sent',
    async (_rule, path, type) => {
      for (const length of [undefined, 'first|SECRET'.length]) {
        const task = await openTask();
        const upload = await beginUpload(path, task, type, length);
        expect(await readSecret(task)).toBe(200);
        expect(await upload.finish('SECRET')).toBe(path.includes('held') ? '409' : '403');
        expect(received).toEqual([]);
        upload.socket.destroy();
      }
    },
    60_000,
  );

  it('goes through whole where nothing forbids it, whatever its type and bytes', async () => {
    const task = await openTask();
    const upload = await beginUpload('/live/only-before', task, 'image/png', 'first|\u00ff\u0000'.length);
    const done = upload.finish('\u00ff\u0000');
    await expect.poll(() => received.filter((entry) => entry.startsWith('closed'))).toEqual([]);
    await expect.poll(() => received.join(' ')).toContain('PUT /only-before first|');
    upload.socket.destroy();
    await done.catch(() => {});
  });

  it('is streamed as before where no rule asks for the history', async () => {
    const task = await openTask();
    const upload = await beginUpload('/live/whenever', task, 'application/octet-stream');
    await expect.poll(() => received).toEqual(['PUT /whenever', 'first|']);
    upload.socket.destroy();
  });
});

describe('what is open when its task reads the secret', () => {
  it.each(['/live/denied', '/live/only-before'])(
    'is cut: a WebSocket under %s, before the agent could say what it has read',
    async (path) => {
      const task = await openTask();
      const socket = await openSocket(path, task);
      socket.send('hello');
      await once(socket, 'message');
      const closed = once(socket, 'close');
      expect(await readSecret(task)).toBe(200);
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

  it.each(['/live/denied/events', '/live/only-before/events', '/live/denied/file'])(
    'is cut: a streamed answer under %s',
    async (path) => {
      const task = await openTask();
      const reader = await openStream(path, task);
      expect(await readSecret(task)).toBe(200);
      await expect(reader.read()).rejects.toThrow();
    },
  );

  it('stays open where no rule about it reads the history, and where it belongs to another task', async () => {
    const [task, other] = [await openTask(), await openTask()];
    const [free, elsewhere] = [await openSocket('/live/whenever', task), await openSocket('/live/denied', other)];
    expect(await readSecret(task)).toBe(200);
    for (const socket of [free, elsewhere]) {
      socket.send('still here');
      expect(String((await once(socket, 'message'))[0])).toBe('echo still here');
      socket.terminate();
    }
  });

  it('does not count itself', async () => {
    const task = await openTask();
    const reader = await openStream('/live/first-alone', task);
    streams.get('/first-alone')?.end('last');
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('last');
  });

  it('is refused when it was allowed and had not gone out yet', async () => {
    const [task, other] = [await openTask(), await openTask()];
    // Both connections of the pool are taken, so that the call waits for one.
    const taken = [await openSocket('/live/whenever', other), await openSocket('/live/whenever', other)];
    const waiting = env.call('/live/denied', { headers: { 'countersign-task': task } });
    // Calls of a task stand in its history from their clearance on.
    await expect
      .poll(async () => (await env.call('/api/count', { headers: { 'countersign-task': task } })).status)
      .toBe(200);
    expect(await readSecret(task)).toBe(200);
    for (const socket of taken) socket.terminate();
    const answer = await waiting;
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([403, 'denied']);
    expect(received.filter((entry) => entry.startsWith('GET'))).toEqual([]);
  });
});

describe('the kill switch', () => {
  it.each([
    ['that is streamed', undefined],
    ['that is small, and collected before it is sent', 5_000],
  ])('cuts an upload %s', async (_how, length) => {
    const as = `agent-cut-${length}`;
    const upload = await beginUpload('/live/whenever', undefined, 'application/octet-stream', length, as);
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
