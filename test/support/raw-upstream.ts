// Upstreams on bare sockets, for what no decent HTTP server would send, and for seeing byte by byte what was sent to
// it.

import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface RawUpstream {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Everything that each connection has sent so far, in the order of the connections, as latin1 text. */
  readonly received: readonly string[];
  /** Resolves when a connection has closed, be it before or after this call. */
  closed(connection: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Bytes to answer every request head with, or a function called once per request head (bodies are not parsed) with what
 * the connection sent so far.
 */
export type RawAnswer = string | Buffer | ((socket: Socket, received: string) => void);

export async function startRawUpstream(answer: RawAnswer): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const ended = new Set<number>();
  const events = new EventEmitter().setMaxListeners(0);
  const server = createServer((socket) => {
    const index = received.push('') - 1;
    let heads = 0;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      ended.add(index);
      events.emit('closed');
    });
    socket.on('data', (chunk) => {
      const text = (received[index] ?? '') + chunk.toString('latin1');
      received[index] = text;
      for (const complete = countHeads(text); heads < complete; heads++) {
        if (typeof answer === 'function') answer(socket, text);
        else socket.write(answer);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    received,
    async closed(connection) {
      while (!ended.has(connection)) await once(events, 'closed');
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Request heads that are complete in a text of requests. */
function countHeads(text: string): number {
  return [
    ...text.matchAll(
      /(?<=^|\n|[^\r\n])(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [^\r\n]* HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n/g,
    ),
  ].length;
}

/** A whole answer with its length. */
export function rawAnswer(body: string | Buffer, fields: readonly string[] = [], status = '200 OK'): Buffer {
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from([`HTTP/1.1 ${status}`, `content-length: ${bytes.length}`, ...fields, '', ''].join('\r\n'), 'latin1'),
    bytes,
  ]);
}
