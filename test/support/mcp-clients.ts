// The official MCP clients of both eras, as an agent connects them to a mount of the gateway. Each is closed when its
// test ends.

import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { onTestFinished } from 'vitest';
import type { Environment } from './environment.ts';

const NAMED = { name: 'test', version: '1' };

export interface Connecting<C> {
  /** The subject of the token; default `agent-1`. */
  readonly as?: string | undefined;
  /** Claims besides the usual ones. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Goes on in this session. */
  readonly sessionId?: string | undefined;
  /** Default: a client that can do nothing for the server. */
  readonly client?: C;
}

export const mountUrl = (env: Environment, mount: string): URL =>
  new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`);

/** The SDK v1 client: revisions of 2025 and before, with a session. */
export async function connectV1(
  env: Environment,
  mount: string,
  { as = 'agent-1', claims, headers, sessionId, client = new Client(NAMED) }: Connecting<Client> = {},
): Promise<{ readonly client: Client; readonly transport: StreamableHTTPClientTransport }> {
  const requestInit = { headers: { authorization: `Bearer ${await env.token(as, claims)}`, ...headers } };
  const transport = new StreamableHTTPClientTransport(mountUrl(env, mount), {
    requestInit,
    ...(sessionId !== undefined && { sessionId }),
  });
  if (sessionId !== undefined) transport.setProtocolVersion('2025-11-25');
  await client.connect(transport as never);
  onTestFinished(() => client.close());
  return { client, transport };
}

/** The SDK v2 client, which speaks 2026-07-28 where the server does. */
export async function connectV2(
  env: Environment,
  mount: string,
  { as = 'agent-1', claims, headers, client }: Connecting<ModernClient> = {},
): Promise<ModernClient> {
  const connected = client ?? new ModernClient(NAMED, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${await env.token(as, claims)}`, ...headers } };
  await connected.connect(new ModernTransport(mountUrl(env, mount), { requestInit }));
  onTestFinished(() => connected.close());
  return connected;
}
