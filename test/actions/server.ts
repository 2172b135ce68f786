// A node:http server that does only the first two steps of a call and answers with what they made of it.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { classify } from '../../src/actions/classify.ts';
import { forwardableHeaders } from '../../src/actions/fields.ts';
import { type ReceiveOptions, receiveRequest } from '../../src/actions/receive.ts';
import type { UpstreamDescriptor } from '../../src/actions/target.ts';
import type { Action, BodyNeed } from '../../src/domain/action.ts';
import type { InboundRequest } from '../../src/domain/request.ts';
import { asGatewayError } from '../../src/errors.ts';

export const LIMITS = { heldBodyBytes: 4096, inspectedBodyBytes: 8192 };

export const API: UpstreamDescriptor = {
  name: 'api',
  authority: 'api.example:8443',
  basePath: '/v1',
  protocol: 'http',
  boundHeaders: ['x-bound'],
};

export interface TestServer {
  readonly port: number;
  readonly host: string;
  readonly server: Server;
  close(): Promise<void>;
}

export type Handle = (request: InboundRequest, response: ServerResponse) => Promise<unknown>;

/** What the default handler answers. */
export interface Seen extends Omit<Action, 'body'> {
  readonly forwardable: readonly string[];
  readonly bodyText?: string;
  readonly bodyDigest?: string;
}

export function classifying(upstream: UpstreamDescriptor, need: BodyNeed): Handle {
  return async (request): Promise<Seen> => {
    const { body, ...action } = await classify(request, upstream, need, LIMITS);
    const forwardable = forwardableHeaders(request.headers);
    return {
      ...action,
      forwardable,
      ...(body === undefined ? {} : { bodyText: Buffer.from(body.bytes).toString(), bodyDigest: body.digest }),
    };
  };
}

type ServerOptions = Omit<ReceiveOptions, 'id' | 'receivedAt'>;

/**
 * Refusals come with their status, as `{"code": …}` and, for HEAD, in `x-code`; what node refuses has neither. Every
 * answer closes the connection.
 */
export async function startServer(
  handle: Handle = classifying(API, 'bytes'),
  options: ServerOptions = { hosts: 'any' },
): Promise<TestServer> {
  const server = createServer((incoming, response) => void answer(incoming, response, handle, options));
  server.on('checkContinue', (incoming, response) => void answer(incoming, response, handle, options));
  server.on('checkExpectation', (incoming, response) => void answer(incoming, response, handle, options));
  server.on('clientError', (_error, socket) => {
    // Half-closing is not enough: the body being read would wait for the rest of what cannot be parsed.
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    host: `127.0.0.1:${port}`,
    server,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  handle: Handle,
  options: ServerOptions,
): Promise<void> {
  let status = 200;
  let body: unknown;
  try {
    body = await handle(
      receiveRequest(incoming, response, { id: randomUUID(), receivedAt: Date.now(), ...options }),
      response,
    );
  } catch (thrown) {
    const error = asGatewayError(thrown);
    status = error.status;
    body = { code: error.code, detail: error.detail };
  }
  const text = JSON.stringify(body ?? null);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
    ...(status === 200 ? {} : { 'x-code': (body as { code: string }).code }),
  });
  response.end(text);
}
