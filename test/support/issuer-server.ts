// A plain HTTP server for issuers that tests write themselves: it records every request whole, and can be stopped and
// resumed on its port.

import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface IssuerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface IssuerServer {
  readonly origin: string;
  readonly requests: readonly IssuerRequest[];
  /** How many requests came with this method and path. */
  count(method: string, path: string | RegExp): number;
  stop(): Promise<void>;
  resume(): Promise<void>;
}

export interface IssuerReply {
  readonly status: number;
  readonly type?: string;
  /** Sent as JSON unless it is a text. */
  readonly body?: unknown;
}

export async function startIssuerServer(
  answer: (request: IssuerRequest) => IssuerReply | Promise<IssuerReply>,
): Promise<IssuerServer> {
  const requests: IssuerRequest[] = [];
  const server = createServer(async (incoming, response) => {
    const request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: await incoming.toArray().then(asText),
    };
    requests.push(request);
    reply(response, await answer(request));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    count: (method, path) =>
      requests.filter(
        (one) => one.method === method && (typeof path === 'string' ? one.path === path : path.test(one.path)),
      ).length,
    async stop() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    async resume() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}

function asText(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

function reply(response: ServerResponse, { status, type = 'application/json', body }: IssuerReply): void {
  response.writeHead(status, body === undefined ? {} : { 'content-type': type });
  response.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
}
