// Real MCP servers for tests: one of the 2025 revisions (TypeScript SDK v1, sessions, event streams) and one of
// 2026-07-28 (stateless, by hand, since that revision's server package is not among the dependencies). Both note which
// tools ran with which arguments.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ElicitResultSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

interface RanTool {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

interface CallParams {
  readonly name?: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly inputResponses?: unknown;
  readonly requestState?: string;
  /** What Mcp-Param-Region said. */
  readonly field?: string | string[] | undefined;
}

export interface McpUpstream {
  readonly url: string;
  readonly ran: readonly RanTool[];
  /** HTTP methods and JSON-RPC methods as they arrived. */
  readonly arrived: readonly string[];
  /** Tool definitions; change them as a server might. */
  readonly tools: Record<string, unknown>[];
  /** Lets every `slow_job` finish, those under way and those to come. */
  letGo(): void;
  close(): Promise<void>;
}

const TOOLS = () => [
  {
    name: 'transfer_funds',
    description: 'Moves money.',
    inputSchema: {
      type: 'object',
      properties: { amount: { type: 'number', title: 'Amount', description: 'In euros' }, to: { type: 'string' } },
      required: ['amount'],
      additionalProperties: false,
    },
    annotations: { destructiveHint: true },
  },
  {
    name: 'read_balance',
    description: 'Tells the balance.',
    inputSchema: { type: 'object' },
    annotations: { readOnlyHint: true },
  },
  { name: 'ask_user', description: 'Asks the person: “Wie heißt du?”', inputSchema: { type: 'object' } },
  { name: 'secret_tool', description: 'Not for everybody.', inputSchema: { type: 'object' } },
  {
    name: 'route_job',
    description: 'Runs in a region.',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        size: { type: 'integer', 'x-mcp-header': 'Size' },
      },
    },
  },
  { name: 'slow_job', description: 'Takes until it is let go.', inputSchema: { type: 'object' } },
];

export async function startMcpUpstream(): Promise<McpUpstream> {
  const ran: RanTool[] = [];
  const arrived: string[] = [];
  const tools: Record<string, unknown>[] = TOOLS();
  const { promise: goes, resolve: letGo } = Promise.withResolvers<void>();
  const transports = new Map<string, StreamableHTTPServerTransport>();

  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const server = new Server({ name: 'bank', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: tools as never }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      ran.push({ name: params.name, args: params.arguments ?? {} });
      if (params.name === 'slow_job') await goes;
      if (params.name === 'secret_tool') return { content: [{ type: 'text', text: 'it said no' }], isError: true };
      if (params.name !== 'ask_user') return { content: [{ type: 'text', text: `done ${params.name}` }] };
      const question = {
        message: 'Your name?',
        requestedSchema: { type: 'object' as const, properties: { name: { type: 'string' as const } } },
      };
      try {
        const answer = await extra.sendRequest({ method: 'elicitation/create', params: question }, ElicitResultSchema);
        return { content: [{ type: 'text', text: `answer ${JSON.stringify(answer.content)}` }] };
      } catch (error) {
        return { content: [{ type: 'text', text: `refused ${(error as Error).message}` }] };
      }
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    await server.connect(transport as never);
    return transport;
  };

  const http = await listen(async (incoming, response) => {
    const body = incoming.method === 'POST' ? JSON.parse(await readAll(incoming)) : undefined;
    arrived.push(
      body === undefined
        ? (incoming.method ?? '')
        : (body.method ?? `answer ${JSON.stringify(body.error?.message ?? 'result')}`),
    );
    const session = incoming.headers['mcp-session-id'];
    const transport = typeof session === 'string' ? transports.get(session) : await open();
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(incoming, response, body);
  });
  return { url: `${http.origin}/mcp`, ran, arrived, tools, letGo, close: http.close };
}

/** 2026-07-28: no sessions, no streams. `need_name` asks for input in its result. */
export async function startStatelessUpstream(): Promise<McpUpstream> {
  const ran: RanTool[] = [];
  const arrived: string[] = [];
  const tools: Record<string, unknown>[] = TOOLS();
  const { promise: goes, resolve: letGo } = Promise.withResolvers<void>();
  const cacheable = { ttlMs: 0, cacheScope: 'public' };
  const results: Record<string, (params: CallParams) => unknown> = {
    'server/discover': () => ({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ...cacheable }),
    'tools/list': () => ({ tools, ...cacheable }),
    'tools/call': async ({ name = '', arguments: args, inputResponses, requestState, field }) => {
      if (requestState !== undefined && requestState !== 'of-the-server')
        throw new Error('a requestState that this server never gave');
      if (name === 'ask_user' && inputResponses === undefined) {
        const params = {
          message: 'Your name?',
          mode: 'form',
          requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
        };
        return {
          resultType: 'input_required',
          inputRequests: { q: { method: 'elicitation/create', params } },
          requestState: 'of-the-server',
        };
      }
      ran.push({ name, args: args ?? {} });
      if (name === 'slow_job') await goes;
      if (name === 'route_job') return { content: [{ type: 'text', text: `routed by ${field}` }] };
      if (name === 'secret_tool') return { content: [{ type: 'text', text: 'it said no' }], isError: true };
      return { content: [{ type: 'text', text: `done ${name}` }] };
    },
  };
  const http = await listen(async (incoming, response) => {
    const message = JSON.parse(await readAll(incoming));
    arrived.push(message.method);
    const result = await results[message.method]?.({ ...message.params, field: incoming.headers['mcp-param-region'] });
    response.writeHead(message.id === undefined ? 202 : 200, { 'content-type': 'application/json' });
    response.end(
      message.id === undefined
        ? undefined
        : JSON.stringify({
            jsonrpc: '2.0',
            id: message.id,
            ...(result === undefined
              ? { error: { code: -32601, message: 'unknown' } }
              : { result: { resultType: 'complete', ...(result as object) } }),
          }),
    );
  });
  return { url: `${http.origin}/mcp`, ran, arrived, tools, letGo, close: http.close };
}

async function listen(
  handle: (incoming: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<{ origin: string; close(): Promise<void> }> {
  const server: HttpServer = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  return text;
}
