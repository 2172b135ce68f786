// Held calls as tasks for the official client of MCP tasks (@modelcontextprotocol/ext-tasks over the TypeScript SDK
// v2), in both eras.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { describe, expect } from 'vitest';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startTwoBanks, type TwoBanks } from '../support/two-banks.ts';

type Options = Parameters<typeof createTaskSessionFromClient>[1];
type Session = ReturnType<typeof createTaskSessionFromClient>;
type Execution = Awaited<ReturnType<Session['callTool']>>;

const it = gatewayTest.extend('banks', file, ({ closes }) =>
  closes(startTwoBanks({ wait: '1s', pendingPerAgent: 100 })),
);

describe('the official client of MCP tasks', { timeout: 60_000 }, () => {
  let amount = 0;
  let rpcId = 0;

  async function open(banks: TwoBanks, mount: string): Promise<Session> {
    const url = new URL(`http://127.0.0.1:${banks.env.ports.agents}/${mount}`);
    const clientInfo = { name: 'tasks', version: '1' };
    const client = new Client(clientInfo, { versionNegotiation: { mode: 'auto' } });
    await client.connect(
      new StreamableHTTPClientTransport(url, {
        requestInit: { headers: { authorization: `Bearer ${await banks.env.token('agent-1')}` } },
      }),
    );
    const rawDispatch = async (
      request: { method: string },
      { context }: { context?: { headers?: Record<string, string> } } = {},
    ) => {
      const headers = {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': request.method,
        ...context?.headers,
      };
      const response = await banks.env.call(`/${mount}`, {
        method: 'POST',
        headers,
        body: { jsonrpc: '2.0', id: ++rpcId, ...request },
      });
      const { result, error } = (await response.json()) as { result?: unknown; error?: unknown };
      return error === undefined ? { kind: 'result', result } : { kind: 'error', error };
    };
    const v2RequestFraming = { protocolVersion: '2026-07-28', clientInfo, clientCapabilities: {} };
    return createTaskSessionFromClient(
      client,
      (mount === 'modern' ? { endpointId: mount, rawDispatch, v2RequestFraming } : { endpointId: mount }) as Options,
    );
  }

  async function hold(session: Session): Promise<{ execution: Execution; id: string }> {
    const execution = await session.callTool(
      'transfer_funds',
      { amount: ++amount },
      { task: { preference: 'prefer' } },
    );
    expect(execution.kind).toBe('task');
    return { execution, id: String(execution.handle?.taskId).replace('countersign.', '') };
  }

  it.for(['tools', 'modern'])(
    'completes an approved call, and lets a denied one end in words: %s',
    async (mount, { banks }) => {
      const session = await open(banks, mount);
      const approved = await hold(session);
      await banks.alice.approve(approved.id);
      expect((await approved.execution.settle()).outcome).toMatchObject({
        status: 'completed',
        result: { content: [{ text: 'done transfer_funds' }] },
      });
      const denied = await hold(session);
      await banks.alice.deny(denied.id);
      const { outcome } = await denied.execution.settle();
      // 2025-11-25 ends a tool's error as a failed task, 2026-07-28 as a result.
      if (mount === 'tools')
        expect(outcome).toMatchObject({ error: { message: expect.stringContaining('Do not rephrase it') } });
      else
        expect(outcome).toMatchObject({
          status: 'completed',
          result: { isError: true, _meta: { 'countersign/code': 'approval_denied' } },
        });
      const upstream = mount === 'tools' ? banks.bank : banks.modernBank;
      expect(upstream.ran.map(({ args }) => args.amount)).toEqual([amount - 1]);
      await session.close();
    },
  );

  it.for(['tools', 'modern'])('cancels the hold: %s', async (mount, { banks }) => {
    const session = await open(banks, mount);
    const { execution, id } = await hold(session);
    await execution.cancel();
    expect((await banks.alice.show(id)).state).toBe('CANCELLED');
    await session.close();
  });

  it('gets the result of a call that nobody holds at once', async ({ banks }) => {
    const session = await open(banks, 'modern');
    const execution = await session.callTool('read_balance', {});
    expect(execution.kind).toBe('immediate');
    expect((await execution.settle()).outcome).toMatchObject({ result: { content: [{ text: 'done read_balance' }] } });
    await session.close();
  });
});
