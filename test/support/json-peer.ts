// A strict local server in place of a service that cannot run here: every request is recorded whole, and the test says
// what it answers.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PeerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** The body as a form. */
  readonly form: Readonly<Record<string, string>>;
}

export interface PeerAnswer {
  readonly status?: number;
  readonly body: object | string;
  /** Further fields, for example a redirect's Location. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface JsonPeer {
  readonly url: string;
  readonly requests: readonly PeerRequest[];
  close(): void;
}

/** `answer` may stay pending: the request then waits. */
export async function startJsonPeer(
  answer: (request: PeerRequest) => PeerAnswer | Promise<PeerAnswer>,
): Promise<JsonPeer> {
  const requests: PeerRequest[] = [];
  const server = createServer(async (incoming, response) => {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    const { method = '', url: path = '', headers } = incoming;
    const request = { method, path, headers, body, form: Object.fromEntries(new URLSearchParams(body)) };
    requests.push(request);
    const { status = 200, body: content, headers: fields } = await answer(request);
    response.writeHead(status, { 'content-type': 'application/json', ...fields });
    response.end(typeof content === 'string' ? content : JSON.stringify(content));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
