// Kind: a list whose cursor leads a client round and round: an empty one is the end, and the one that was asked with is
// an error.

import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment(({ origin }) => ({
    upstreams: {
      tools: { url: `${origin}/mcp`, protocol: 'mcp' },
      many: { protocol: 'mcp', servers: { a: { url: `${origin}/mcp` } } },
    },
    rules: [rule.allow('lists', { mcp: ['*/list', 'resources/templates/list'] })],
  })),
);

const LISTS = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
};

async function list(env: Environment, mount: string, method: string, nextCursor: string, cursor?: string) {
  env.upstream.respond(({ body }, response) => {
    const { id } = JSON.parse(body) as { id: unknown };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: { [LISTS[method as keyof typeof LISTS]]: [], nextCursor, resultType: 'complete' },
      }),
    );
  });
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const response = await env.call(mount, {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28' },
    body: { jsonrpc: '2.0', id: 1, method, params: { ...(cursor !== undefined && { cursor }), _meta: meta } },
  });
  return (await response.json()) as { result?: Record<string, unknown>; error?: { data: { code: string } } };
}

it.for(Object.keys(LISTS))(
  '%s: an empty cursor is the end, another one goes on, the same one is an error',
  async (method, { env }) => {
    for (const mount of ['/tools', '/many'])
      expect((await list(env, mount, method, '')).result).not.toHaveProperty('nextCursor');
    expect((await list(env, '/tools', method, 'b', 'a')).result).toMatchObject({ nextCursor: 'b' });
    expect((await list(env, '/tools', method, 'a', 'a')).error?.data.code).toBe('upstream_protocol');
  },
);
