// An MCP server of the 2025 revisions by hand, for what no well-behaved one does: it lists what it is told to, sends
// what it is told to, and notes as faults whatever a client of it must not do. It can be killed, and come back on the
// same port without its sessions.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Message = Readonly<Record<string, unknown>> & {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
};

export interface Arrived {
  readonly http: string;
  readonly message: Message;
  readonly headers: IncomingMessage['headers'];
}

export interface StrictServer {
  readonly url: string;
  readonly arrived: readonly Arrived[];
  readonly faults: readonly string[];
  /** Results by method: what is answered, given the params. */
  readonly results: Record<string, (params: Record<string, unknown>) => unknown>;
  /** Streams that clients keep open. */
  readonly streams: ReadonlySet<unknown>;
  /** On every one of them. */
  push(message: object, eventId?: string): void;
  /** Answers in a stream of events, by method: what is sent instead of a result, given the message. */
  readonly events: Record<string, (message: Message) => readonly { readonly id?: string; readonly message: object }[]>;
  /** Methods that are never answered. */
  readonly silent: Set<string>;
  messages(method: string): readonly Message[];
  /** Connections are cut and sessions forgotten. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export async function startStrictServer(name: string): Promise<StrictServer> {
  const arrived: Arrived[] = [];
  const faults: string[] = [];
  const silent = new Set<string>();
  const streamed: StrictServer['events'] = {};
  const sessions = new Map<string, { readonly version: string; readonly ids: Set<unknown> }>();
  const streams = new Set<ServerResponse>();
  const results: StrictServer['results'] = {
    initialize: (params) => ({
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} },
      serverInfo: { name, version: '1' },
      instructions: `Words of ${name}.`,
    }),
    'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }),
    'tools/call': (params) => ({ content: [{ type: 'text', text: `${name} ran ${JSON.stringify(params.name)}` }] }),
  };

  function check(incoming: IncomingMessage, message: Message): number {
    const { headers } = incoming;
    for (const field of Object.keys(headers))
      if (/^(countersign-|traceparent|cookie)/.test(field)) faults.push(`the field ${field}`);
    const id = headers['mcp-session-id'];
    if (message.method === 'initialize') {
      if (id !== undefined) faults.push('initialize in a session');
      return 200;
    }
    const session = typeof id === 'string' ? sessions.get(id) : undefined;
    if (session === undefined) return id === undefined ? 400 : 404;
    if (headers['mcp-protocol-version'] !== session.version) faults.push(`version ${headers['mcp-protocol-version']}`);
    if (message.method !== undefined && message.id !== undefined) {
      if (session.ids.has(message.id)) faults.push(`the id ${JSON.stringify(message.id)} again`);
      session.ids.add(message.id);
    }
    return 200;
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
    const message = (text === '' ? {} : JSON.parse(text)) as Message;
    arrived.push({ http: incoming.method ?? '', message, headers: incoming.headers });
    const status = check(incoming, message);
    if (status !== 200) return void response.writeHead(status).end();
    if (incoming.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return;
    }
    if (incoming.method === 'DELETE') {
      sessions.delete(String(incoming.headers['mcp-session-id']));
      return void response.writeHead(200).end();
    }
    if (message.method === undefined || message.id === undefined) return void response.writeHead(202).end();
    if (silent.has(message.method)) return;
    const events = streamed[message.method]?.(message);
    if (events !== undefined) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const event of events)
        response.write(
          `${event.id === undefined ? '' : `id: ${event.id}\n`}data: ${JSON.stringify(event.message)}\n\n`,
        );
      return void response.end();
    }
    const result = Object.hasOwn(results, message.method) ? results[message.method]?.(message.params ?? {}) : undefined;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (message.method === 'initialize') {
      const id = randomUUID();
      sessions.set(id, { version: String((result as { protocolVersion?: string }).protocolVersion), ids: new Set() });
      headers['mcp-session-id'] = id;
    } else headers['mcp-session-id'] = String(incoming.headers['mcp-session-id']);
    response.writeHead(200, headers);
    response.end(
      JSON.stringify({
        jsonrpc: '2.0',
        id: message.id,
        ...(result === undefined ? { error: { code: -32601, message: 'unknown' } } : { result }),
      }),
    );
  }

  let server: Server;
  const listen = async (port: number): Promise<number> => {
    server = createServer((incoming, response) => void handle(incoming, response).catch(() => response.destroy()));
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    arrived,
    faults,
    results,
    silent,
    streams,
    events: streamed,
    push(message, eventId) {
      for (const stream of streams)
        stream.write(`${eventId === undefined ? '' : `id: ${eventId}\n`}data: ${JSON.stringify(message)}\n\n`);
    },
    messages: (method) => arrived.flatMap(({ message }) => (message.method === method ? [message] : [])),
    async kill() {
      sessions.clear();
      streams.clear();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    start: async () => void (await listen(port)),
  };
}
