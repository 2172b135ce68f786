// Kind: clients that open an MCP session for each call and end it behind the answer (LangChain's adapter does). A held call comes back in another
// session: it attaches to its hold, and uses its approval once. Nobody else's session does.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type McpUpstream, startMcpUpstream } from '../support/mcp-upstream.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { type StrictServer, startStrictServer } from '../support/strict-mcp-server.ts';

interface Result {
  readonly content: readonly { readonly text: string }[];
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

let env: Environment;
let bank: McpUpstream;
let a: StrictServer;
let alice: ReviewerClient;

beforeAll(async () => {
  [bank, a] = await Promise.all([startMcpUpstream(), startStrictServer('a')]);
  env = await startEnvironment({
    upstreams: `
  tools: { url: "${bank.url}", protocol: mcp }
  one: { protocol: mcp, servers: { a: { url: "${a.url}" } } }`,
    rules: '\n  - { id: pay, match: { tool: "*transfer_funds" }, decide: hold, tier: payment }\n',
    limits: '{ wait: 100ms }',
  });
  alice = await env.reviewer('alice');
});
afterAll(async () => {
  await env.close();
  await bank.close();
  await a.kill();
});

/** Opens a session, calls, and ends the session. */
async function inOneSession(mount: string, name: string, args: object, as = 'agent-1', claims = {}): Promise<Result> {
  const client = new Client({ name: 'adapter', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${await env.token(as, claims)}` } };
  const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`), { requestInit });
  await client.connect(transport as never);
  const result = (await client.callTool({ name, arguments: args as Record<string, unknown> })) as unknown as Result;
  await transport.terminateSession();
  await client.close();
  return result;
}

const holdOf = (result: Result) => result._meta?.['countersign/hold'];

it.each([
  ['of one server', 'tools', 'transfer_funds', 41],
  ['that servers share', 'one', 'a__transfer_funds', 42],
])('at a mount %s a held call is found again from the next session, and executed once', async (_what, mount, name, amount) => {
  const ran = () =>
    mount === 'tools'
      ? bank.ran.filter(({ args }) => args.amount === amount).length
      : a.messages('tools/call').filter(({ params }) => (params?.arguments as { amount?: number } | undefined)?.amount === amount).length;
  const call = (as?: string, claims?: object) => inOneSession(mount, name, { amount }, as, claims);
  const first = holdOf(await call());
  expect(first).toMatch(/^hold_/);
  expect(holdOf(await call())).toBe(first);
  const others = [
    holdOf(await call('agent-2')),
    holdOf(await call('kim', { act: { sub: 'agent-1' } })),
    holdOf(await inOneSession(mount, name, { amount: -amount })),
  ];
  expect(new Set([first, ...others]).size).toBe(4);
  await alice.approve(String(first));
  expect([holdOf(await call('agent-2')), ran()]).toEqual([others[0], 0]);
  const done = await call();
  expect([done.isError ?? false, ran(), (await alice.show(String(first))).state]).toEqual([false, 1, 'EXECUTED']);
  const next = holdOf(await call());
  expect([typeof next, next === first, ran()]).toEqual(['string', false, 1]);
});
