// The agents' listener: node:http made strict. It turns a connection's request into a Call for the pipeline and
// gives the pipeline a sink to answer into. It refuses what Node's parser refuses, CONNECT, and upgrades other than WebSocket.

import { randomUUID } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { inTurn, keepBusy } from './connections.ts';
import type { Clock } from './domain/clock.ts';
import type { HeaderList } from './domain/headers.ts';
import type { ResponseSink } from './domain/upstream.ts';
import { GatewayError } from './errors.ts';
import { createBoundedServer, type Listening, type ListenOptions, listen } from './listen.ts';
import { problem } from './problem.ts';

/** A request as it came off the wire, with the way to answer it. */
export interface Arrival {
  readonly id: string;
  readonly receivedAt: number;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly sink: ResponseSink;
  /** Present for an upgrade: the bare socket and what followed the head. */
  readonly upgrade?: { readonly socket: Socket; readonly head: Buffer };
}

export interface ServerOptions extends ListenOptions {
  readonly clock: Clock;
  /** Never rejects. */
  handle(arrival: Arrival): Promise<void>;
}

export async function startServer(options: ServerOptions): Promise<Listening> {
  const server = createBoundedServer(options);
  const accept = inTurn((incoming, response) => {
    void options.handle({ id: randomUUID(), receivedAt: options.clock.now(), incoming, response, sink: new ConnectionSink(incoming, response) });
  });
  server.on('request', accept);
  // Identity comes before `100 Continue`: the body reader sends it once the body is wanted.
  server.on('checkContinue', accept);
  server.on('checkExpectation', accept);
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    const response = new ServerResponse(incoming);
    keepBusy(socket, response);
    // The socket belongs to whoever takes the upgrade; only a refusal is written as HTTP.
    const sink = new ConnectionSink(incoming, response, () => {
      response.shouldKeepAlive = false;
      response.once('finish', () => socket.end());
      response.assignSocket(socket);
    });
    void options.handle({ id: randomUUID(), receivedAt: options.clock.now(), incoming, response, sink, upgrade: { socket, head } });
  });
  server.on('connect', (_incoming: IncomingMessage, socket: Duplex) =>
    refuseSocket(socket, new GatewayError('method_not_allowed', 'CONNECT is not offered here.')),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => refuseSocket(socket, parseFault(error)));
  return listen(server, options);
}

/** What node:http refused before there was a request. */
function parseFault(error: NodeJS.ErrnoException): GatewayError {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new GatewayError('header_too_large', 'The header section is larger than limits.header.');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new GatewayError('request_timeout', 'The head of the request did not arrive in time.');
  return new GatewayError('bad_request', 'The bytes on this connection are not one well-formed HTTP/1.1 request.');
}

/** After a parse error nothing on the connection can be trusted any more: answer once and close. */
function refuseSocket(socket: Duplex, error: GatewayError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = problem(error, { requestId: randomUUID() });
  const lines = [`HTTP/1.1 ${status} ${error.code}`];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close', '', body);
  socket.end(lines.join('\r\n'), () => socket.destroy());
}

/** A class, because every call makes one. */
class ConnectionSink implements ResponseSink {
  readonly #incoming: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #beforeWhole: (() => void) | undefined;

  /** `beforeWhole` runs before an answer is written whole. */
  constructor(incoming: IncomingMessage, response: ServerResponse, beforeWhole?: () => void) {
    this.#incoming = incoming;
    this.#response = response;
    this.#beforeWhole = beforeWhole;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  head(status: number, headers: HeaderList): void {
    this.#response.writeHead(status, headers as string[]);
    // A stream of events must not wait for its first event before the client sees the head.
    this.#response.flushHeaders();
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#response.write(chunk);
  }

  onDrain(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  whole(status: number, headers: HeaderList, body: Uint8Array | string): void {
    this.#beforeWhole?.();
    this.#response.writeHead(status, completeFields(this.#incoming, status, headers, body) as string[]);
    // One write for head and body; latin1 is the cheapest way for a text that is ASCII.
    if (typeof body === 'string') this.#response.end(body, 'latin1');
    else this.#response.end(body);
  }

  end(): void {
    this.#response.end();
  }

  abort(): void {
    this.#response.destroy();
  }
}

/** Adds what only the connection knows: the length, and that it must close when a body was left unread. */
function completeFields(incoming: IncomingMessage, status: number, headers: HeaderList, body: Uint8Array | string): HeaderList {
  const lengthless = incoming.method === 'HEAD' || status === 204 || status === 304 || headers.includes('content-length');
  const fields = lengthless ? headers : [...headers, 'content-length', String(body.length)];
  return incoming.complete || bodyless(incoming) ? fields : [...fields, 'connection', 'close'];
}

/** Asked only while the message is not complete, that is, when it is answered in the turn in which its head arrived. */
function bodyless({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}
