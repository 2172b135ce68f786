// An upstream that notes every request it gets, whole, and answers what a test wants.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Respond = (request: RecordedRequest, response: ServerResponse) => void;

export interface Recorder {
  readonly origin: string;
  readonly requests: readonly RecordedRequest[];
  /** Resolves with the nth request (from 0) once it has arrived. */
  arrived(n: number): Promise<RecordedRequest>;
  /** Answers from now on; default `{"ok":true}`. */
  respond(how: Respond): void;
  close(): Promise<void>;
}

export async function startRecorder(): Promise<Recorder> {
  const requests: RecordedRequest[] = [];
  const waiting = new Set<() => void>();
  let respond: Respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"ok":true}');
  };
  const server = createServer(async (incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8');
    try {
      for await (const chunk of incoming) body += chunk;
    } catch {
      return;
    }
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      rawHeaders: incoming.rawHeaders,
      headers: incoming.headers,
      body,
    };
    requests.push(request);
    for (const look of waiting) look();
    respond(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    arrived: (n) =>
      new Promise((resolve) => {
        const look = (): void => {
          const request = requests[n];
          if (request === undefined) return;
          waiting.delete(look);
          resolve(request);
        };
        waiting.add(look);
        look();
      }),
    respond(how) {
      respond = how;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
