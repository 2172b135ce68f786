// An upstream on bare sockets that takes every connection apart by itself, strictly: what it cannot read as a request
// is kept as such.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Received } from './bypass.ts';

export interface StrictUpstream {
  readonly origin: string;
  readonly requests: readonly Received[];
  /** Bytes that are no request, per connection that has some. */
  leftovers(): readonly string[];
  close(): Promise<void>;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok';

export async function startStrictUpstream(): Promise<StrictUpstream> {
  const requests: Received[] = [];
  const connections = new Set<Connection>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const connection = new Connection((received) => {
      requests.push(received);
      socket.write(ANSWER);
    });
    connections.add(connection);
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (piece) => connection.take(piece.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    leftovers: () => [...connections].map((connection) => connection.leftover).filter((text) => text !== ''),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Requests one after the other; a body is read by its framing and thrown away. */
class Connection {
  readonly #tell: (received: Received) => void;
  #text = '';
  /** What is still to come of a body, in bytes; `chunked` while chunks come. */
  #body: number | 'chunked' = 0;

  constructor(tell: (received: Received) => void) {
    this.#tell = tell;
  }

  /** A body that was cut is none: its sender left. */
  get leftover(): string {
    return this.#body === 0 ? this.#text : '';
  }

  take(text: string): void {
    this.#text += text;
    while (this.#text !== '' && (this.#body === 0 ? this.#readHead() : this.#readBody()));
  }

  #readHead(): boolean {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [line = '', ...fields] = this.#text.slice(0, end).split('\r\n');
    const value = (name: string): string | undefined =>
      fields.find((field) => field.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1);
    const text = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 4);
    this.#body = value('transfer-encoding') === undefined ? Number(value('content-length') ?? 0) : 'chunked';
    this.#tell({ line, fields, text });
    return true;
  }

  #readBody(): boolean {
    if (this.#body === 'chunked') {
      const size = /^([0-9a-f]+)\r\n/i.exec(this.#text);
      const length = Number.parseInt(size?.[1] ?? '', 16);
      const whole = (size?.[0].length ?? 0) + length + 2;
      if (size === null || this.#text.length < whole) return false;
      this.#text = this.#text.slice(whole);
      if (length === 0) this.#body = 0;
      return true;
    }
    const taken = Math.min(this.#body, this.#text.length);
    this.#text = this.#text.slice(taken);
    this.#body -= taken;
    return true;
  }
}
