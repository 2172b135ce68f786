// Held calls as tasks for the official client of MCP tasks (@modelcontextprotocol/ext-tasks over the TypeScript SDK
// v2), in both eras.

import { Client } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { connectV2 } from '../support/mcp-clients.ts';
import { twoBanksTest } from '../support/two-banks.ts';

type Options = Parameters<typeof createTaskSessionFromClient>[1];
type Session = ReturnType<typeof createTaskSessionFromClient>;
type Execution = Awaited<ReturnType<Session['callTool']>>;

const it = twoBanksTest({ limits: { wait: '1s', pendingPerAgent: 100 } });

describe('the official client of MCP tasks', { timeout: 60_000 }, () => {
  let amount = 0;
  let rpcId = 0;

  async function open(env: Environment, mount: string): Promise<Session> {
    const clientInfo = { name: 'tasks', version: '1' };
    const client = await connectV2(env, mount, {
      client: new Client(clientInfo, { versionNegotiation: { mode: 'auto' } }),
    });
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
      const response = await env.call(`/${mount}`, {
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
    async (mount, { env, alice, bank, modernBank }) => {
      const session = await open(env, mount);
      const approved = await hold(session);
      await alice.approve(approved.id);
      expect((await approved.execution.settle()).outcome).toMatchObject({
        status: 'completed',
        result: { content: [{ text: 'done transfer_funds' }] },
      });
      const denied = await hold(session);
      await alice.deny(denied.id);
      const { outcome } = await denied.execution.settle();
      // 2025-11-25 ends a tool's error as a failed task, 2026-07-28 as a result.
      if (mount === 'tools')
        expect(outcome).toMatchObject({ error: { message: expect.stringContaining('Do not rephrase it') } });
      else
        expect(outcome).toMatchObject({
          status: 'completed',
          result: { isError: true, _meta: { 'countersign/code': 'approval_denied' } },
        });
      const upstream = mount === 'tools' ? bank : modernBank;
      expect(upstream.ran.map(({ args }) => args.amount)).toEqual([amount - 1]);
      await session.close();
    },
  );

  it.for(['tools', 'modern'])('cancels the hold: %s', async (mount, { env, alice }) => {
    const session = await open(env, mount);
    const { execution, id } = await hold(session);
    await execution.cancel();
    expect((await alice.show(id)).state).toBe('CANCELLED');
    await session.close();
  });

  it('gets the result of a call that nobody holds at once', async ({ env }) => {
    const session = await open(env, 'modern');
    const execution = await session.callTool('read_balance', {});
    expect(execution.kind).toBe('immediate');
    expect((await execution.settle()).outcome).toMatchObject({ result: { content: [{ text: 'done read_balance' }] } });
    await session.close();
  });
});
