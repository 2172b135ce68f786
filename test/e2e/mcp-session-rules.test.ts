// Rules that were written with calls in mind, in front of a session: a hold rule for everything of an upstream must
// hold calls and no handshake. And the notifications that pass without a rule are those of the protocol.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startMcpUpstream } from '../support/mcp-upstream.ts';

const it = gatewayTest
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('env', file, ({ bank, environment }) =>
    environment({
      upstreams: { tools: { url: bank.url, protocol: 'mcp' } },
      rules: [
        rule.hold('everything'),
        rule.hold('tools', { upstream: 'tools' }),
        rule.deny('large', { upstream: 'tools' }, { when: 'args.arguments.amount > 5' }),
        rule.allow('read', { tool: 'read_*' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 100 },
    }),
  );

it('a rule that holds everything opens no hold for a session, and holds its calls', async ({ bank, env }) => {
  const reviewer = await env.reviewer('alice');
  const client = new Client({ name: 'test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${await env.token('agent-1')}` } };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${env.ports.agents}/tools`), { requestInit }) as never,
  );
  await client.ping();
  await client.listTools();
  expect(await reviewer.list()).toEqual([]);
  const answer = await client.callTool({ name: 'read_balance', arguments: {} });
  expect([answer.isError, bank.ran]).toEqual([true, []]);
  await client.close();
});

it.for(['delete_everything', 'initialized/now', 'Cancelled', 'vendor/x', 'tools/list_changed'])(
  'a notification %s needs a rule of its own',
  async (name, { bank, env }) => {
    const before = bank.arrived.length;
    const answer = await env.call('/tools', {
      method: 'POST',
      headers: { accept: 'application/json, text/event-stream' },
      body: { jsonrpc: '2.0', method: `notifications/${name}` },
    });
    await answer.body?.cancel();
    expect(bank.arrived.slice(before).filter((arrived) => arrived.includes(name))).toEqual([]);
  },
);
