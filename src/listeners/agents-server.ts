// The agents' listener: node:http made strict. Each request becomes an arrival with a sink to answer into. What is not
// a request is refused in connection.ts, the same on every listener.

import { randomUUID } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../domain/clock.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { ResponseSink, Upgrade } from '../domain/upstream.ts';
import { isSending, linger, owedOn } from './connection.ts';
import { inTurn, keepBusy } from './connection-bounds.ts';
import { createBoundedServer, type Listening, type ListenOptions, listen } from './listen.ts';
import { WaitingSocket } from './waiting-socket.ts';

/** A request as it came off the wire, with the way to answer it. */
export interface Arrival {
  readonly id: string;
  readonly receivedAt: number;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly sink: ResponseSink;
  /** Present for an upgrade. */
  readonly upgrade?: Omit<Upgrade, 'incoming'>;
}

export interface ServerOptions extends ListenOptions {
  readonly clock: Clock;
  /** Whether a request to upgrade becomes an upgrade. If not, it arrives as a plain request. */
  takesUpgrade(incoming: IncomingMessage): boolean;
  handle(arrival: Arrival): Promise<void>;
  /** Reports that `handle` rejected, which it should not. The connection is cut. */
  failed(id: string, thrown: unknown): void;
}

export async function startServer(options: ServerOptions): Promise<Listening> {
  // While an earlier answer is owed, the socket is not free for an upgrade.
  const server = createBoundedServer(
    options,
    (incoming) => options.takesUpgrade(incoming) && owedOn(incoming.socket) === undefined,
  );
  const handle = async (arrival: Arrival, socket: Socket): Promise<void> => {
    try {
      await options.handle(arrival);
    } catch (thrown) {
      options.failed(arrival.id, thrown);
      socket.destroy();
    }
  };
  const accept = inTurn((incoming, response) => {
    const sink = new ConnectionSink(incoming, response);
    void handle({ id: randomUUID(), receivedAt: options.clock.now(), incoming, response, sink }, incoming.socket);
  });
  server.on('request', accept);
  // The caller is identified before `100 Continue` is sent: the body reader sends it when the body is wanted.
  server.on('checkContinue', accept);
  server.on('checkExpectation', accept);
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    const waiting = new WaitingSocket(socket, head);
    const response = new ServerResponse(incoming);
    keepBusy(socket, response);
    // The socket belongs to whoever takes the upgrade; only a refusal is written as HTTP.
    const sink = new ConnectionSink(incoming, response, () => {
      waiting.release();
      response.shouldKeepAlive = false;
      response.once('finish', () => linger(socket));
      response.assignSocket(socket);
    });
    const upgrade = { socket, release: () => waiting.release() };
    void handle({ id: randomUUID(), receivedAt: options.clock.now(), incoming, response, sink, upgrade }, socket);
  });
  return listen(server, options);
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
    // An answer in pieces that begins before the upload is over carries no `Connection: close`. So the connection is
    // closed after it, with time to read.
    if (isSending(this.#incoming)) this.#response.once('finish', () => linger(this.#incoming.socket));
    this.#response.end();
  }

  abort(): void {
    this.#response.destroy();
  }
}

/** Adds what only the connection knows: the length, and that it must close when a body was left unread. */
function completeFields(
  incoming: IncomingMessage,
  status: number,
  headers: HeaderList,
  body: Uint8Array | string,
): HeaderList {
  const lengthless =
    incoming.method === 'HEAD' || status === 204 || status === 304 || headers.includes('content-length');
  const fields = lengthless ? headers : [...headers, 'content-length', String(body.length)];
  return isSending(incoming) ? [...fields, 'connection', 'close'] : fields;
}
