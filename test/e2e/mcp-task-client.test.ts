// Held calls as tasks for the official client of MCP tasks (@modelcontextprotocol/ext-tasks over the TypeScript SDK v2), in both eras.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type McpUpstream, startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

type Options = Parameters<typeof createTaskSessionFromClient>[1];
type Session = ReturnType<typeof createTaskSessionFromClient>;
type Execution = Awaited<ReturnType<Session['callTool']>>;

describe('the official client of MCP tasks', { timeout: 60_000 }, () => {
  let env: Environment;
  let bank: McpUpstream;
  let modernBank: McpUpstream;
  let alice: ReviewerClient;
  let amount = 0;
  let rpcId = 0;

  beforeAll(async () => {
    [bank, modernBank] = await Promise.all([startMcpUpstream(), startStatelessUpstream()]);
    env = await startEnvironment({
      upstreams: `
  tools: { url: "${bank.url}", protocol: mcp }
  modern: { url: "${modernBank.url}", protocol: mcp }`,
      rules: `
  - { id: read, match: { tool: read_balance }, decide: allow }
  - { id: pay, match: { tool: transfer_funds }, decide: hold, tier: payment }
`,
      limits: '{ wait: 1s, pendingPerAgent: 100 }',
    });
    alice = await env.reviewer('alice');
  }, 60_000);
  afterAll(async () => {
    await env.close();
    await Promise.all([bank.close(), modernBank.close()]);
  }, 60_000);

  async function open(mount: string): Promise<Session> {
    const url = new URL(`http://127.0.0.1:${env.ports.agents}/${mount}`);
    const clientInfo = { name: 'tasks', version: '1' };
    const client = new Client(clientInfo, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${await env.token('agent-1')}` } } }));
    const rawDispatch = async (request: { method: string }, { context }: { context?: { headers?: Record<string, string> } } = {}) => {
      const headers = {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': request.method,
        ...context?.headers,
      };
      const response = await env.call(`/${mount}`, { method: 'POST', headers, body: { jsonrpc: '2.0', id: ++rpcId, ...request } });
      const { result, error } = (await response.json()) as { result?: unknown; error?: unknown };
      return error === undefined ? { kind: 'result', result } : { kind: 'error', error };
    };
    const v2RequestFraming = { protocolVersion: '2026-07-28', clientInfo, clientCapabilities: {} };
    return createTaskSessionFromClient(client, (mount === 'modern' ? { endpointId: mount, rawDispatch, v2RequestFraming } : { endpointId: mount }) as Options);
  }

  async function hold(session: Session): Promise<{ execution: Execution; id: string }> {
    const execution = await session.callTool('transfer_funds', { amount: ++amount }, { task: { preference: 'prefer' } });
    expect(execution.kind).toBe('task');
    return { execution, id: String(execution.handle?.taskId).replace('countersign.', '') };
  }

  it.each(['tools', 'modern'])('completes an approved call, and lets a denied one end in words: %s', async (mount) => {
    const session = await open(mount);
    const approved = await hold(session);
    await alice.approve(approved.id);
    expect((await approved.execution.settle()).outcome).toMatchObject({ status: 'completed', result: { content: [{ text: 'done transfer_funds' }] } });
    const denied = await hold(session);
    await alice.deny(denied.id);
    const { outcome } = await denied.execution.settle();
    // 2025-11-25 ends a tool's error as a failed task, 2026-07-28 as a result.
    if (mount === 'tools') expect(outcome).toMatchObject({ error: { message: expect.stringContaining('Do not rephrase it') } });
    else expect(outcome).toMatchObject({ status: 'completed', result: { isError: true, _meta: { 'countersign/code': 'approval_denied' } } });
    const upstream = mount === 'tools' ? bank : modernBank;
    expect(upstream.ran.map(({ args }) => args.amount)).toEqual([amount - 1]);
    await session.close();
  });

  it.each(['tools', 'modern'])('cancels the hold: %s', async (mount) => {
    const session = await open(mount);
    const { execution, id } = await hold(session);
    await execution.cancel();
    expect((await alice.show(id)).state).toBe('CANCELLED');
    await session.close();
  });

  it('gets the result of a call that nobody holds at once', async () => {
    const session = await open('modern');
    const execution = await session.callTool('read_balance', {});
    expect(execution.kind).toBe('immediate');
    expect((await execution.settle()).outcome).toMatchObject({ result: { content: [{ text: 'done read_balance' }] } });
    await session.close();
  });
});
