// Calls that stay open: an upload whose body comes in two parts, and a WebSocket. An upload sends its body only after
// `100 Continue`, which the gateway writes when it begins to read the body: from then on the call is under way.

import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Environment } from './environment.ts';
import type { Agent } from './reads-and-sends.ts';

export interface Upload {
  /** Sends the second half, and gives `sent` or the code of the refusal. */
  finish(): Promise<string>;
  /** `sent`, the code of the refusal, or `cut`: what the gateway says while the second half is not there. */
  readonly ended: Promise<string>;
  /** Whether the upstream got the whole body. */
  arrived(): boolean;
}

export async function openUpload(env: Environment, path: string, { as, claims, task }: Agent): Promise<Upload> {
  const mark = randomUUID();
  const body = `the first half ${'.'.repeat(20_000)} ${mark}`;
  const socket = connect(env.ports.agents, '127.0.0.1');
  const heard = new EventEmitter();
  let text = '';
  socket.setEncoding('utf8').on('data', (piece) => {
    text += piece;
    if (text.includes('100 Continue')) heard.emit('continue');
  });
  socket.on('error', () => {});
  const ended = new Promise<string>((resolve) => {
    socket.on('close', () => {
      const [, status] = /^HTTP\/1\.1 ([2-5]\d\d)/m.exec(text) ?? [];
      const [, code = 'cut'] = /"code":"(\w+)"/.exec(text) ?? [];
      resolve(status?.startsWith('2') === true ? 'sent' : code);
    });
  });
  const underway = Promise.race([once(heard, 'continue'), ended]);
  socket.write(
    [
      `POST ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${env.ports.agents}`,
      `Authorization: Bearer ${await env.token(as, claims)}`,
      ...(task === undefined ? [] : [`Countersign-Task: ${task}`]),
      'Prefer: wait=0',
      'Connection: close',
      'Expect: 100-continue',
      'Content-Type: text/plain',
      `Content-Length: ${body.length}`,
      '\r\n',
    ].join('\r\n'),
  );
  await underway;
  socket.write(body.slice(0, 10_000));
  return {
    ended,
    finish() {
      socket.write(body.slice(10_000));
      return ended;
    },
    arrived: () => env.upstream.requests.some((request) => request.body.includes(mark)),
  };
}

export interface SocketServer {
  readonly origin: string;
  /** What its WebSockets have received, in order. */
  readonly received: readonly string[];
  close(): void;
}

/** Takes WebSockets, and echoes what comes. */
export async function startSocketServer(): Promise<SocketServer> {
  const received: string[] = [];
  const server = createServer((_incoming: IncomingMessage, response) => response.end('{}'));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      received.push(String(data));
      socket.send(`echo ${data}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close() {
      sockets.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

export interface OpenSocket {
  /** `echo`, or `closed` where the WebSocket has ended. */
  say(text: string): Promise<'echo' | 'closed'>;
  /** Resolves when it ends. */
  readonly closed: Promise<unknown>;
  close(): void;
}

export async function openSocket(env: Environment, path: string, { as, claims, task }: Agent): Promise<OpenSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}${path}`, [], {
    headers: {
      authorization: `Bearer ${await env.token(as, claims)}`,
      ...(task !== undefined && { 'countersign-task': task }),
    },
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  const closed = once(socket, 'close');
  return {
    closed,
    async say(text) {
      if (socket.readyState !== WebSocket.OPEN) return 'closed';
      const echoed = once(socket, 'message').then(() => 'echo' as const);
      socket.send(text);
      return Promise.race([echoed, closed.then(() => 'closed' as const)]);
    },
    close: () => socket.terminate(),
  };
}
