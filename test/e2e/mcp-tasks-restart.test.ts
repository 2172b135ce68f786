import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { startEnvironment } from '../support/environment.ts';
import { startMcpUpstream } from '../support/mcp-upstream.ts';
import { type Answer, lastAmount, openSlowJobs, ranWith, taskGatewayTest } from '../support/task-gateway.ts';

const it = taskGatewayTest;

it.afterEach(({ gateway }) => gateway.closeClients());

describe('a task across a restart of the gateway', { timeout: 60_000 }, () => {
  it('still waits, and is executed from what the store holds', async ({ env, bank, alice, connect, hold }) => {
    const { taskId, id } = await hold(await connect());
    await env.kill();
    await env.start();
    const client = await connect();
    expect((await client.experimental.tasks.getTask(taskId)).status).toBe('working');
    await alice.approve(id);
    expect(await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).toMatchObject({
      content: [{ text: 'done transfer_funds' }],
    });
    expect(ranWith(bank, lastAmount())).toHaveLength(1);
  });

  it('says that nobody knows what became of it, where the process died while the upstream was at work', async () => {
    const gated = await startMcpUpstream();
    const own = await startEnvironment({
      upstreams: { tools: { url: gated.url, protocol: 'mcp' } },
      rules: [rule.hold('job', { tool: 'slow_job' })],
      limits: { wait: '0s' },
    });
    const send = async (method: string, params: object) => {
      const headers = { 'mcp-protocol-version': '2025-11-25', accept: 'application/json, text/event-stream' };
      return (await (
        await own.call('/tools', { method: 'POST', headers, body: { jsonrpc: '2.0', id: 1, method, params } })
      ).json()) as Answer;
    };
    // A session of the upstream's, so that the tool can run at all.
    const opened = await own.call('/tools', {
      method: 'POST',
      headers: { accept: 'application/json, text/event-stream' },
      body: {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
      },
    });
    const session = opened.headers.get('mcp-session-id') ?? '';
    const headers = {
      'mcp-protocol-version': '2025-11-25',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': session,
    };
    const body = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'slow_job', arguments: {}, task: {} } };
    const created = (await (await own.call('/tools', { method: 'POST', headers, body })).json()) as Answer;
    const taskId = String(created.result?.task?.taskId);
    await (await own.reviewer('alice')).approve(taskId.replace('countersign.', ''));
    expect((await send('tasks/get', { taskId })).result).toMatchObject({ status: 'working' });
    await expect.poll(() => gated.ran.length, { timeout: 10_000 }).toBe(1);
    await own.kill();
    await own.start();
    expect((await send('tasks/get', { taskId })).result).toMatchObject({
      status: 'failed',
      statusMessage: expect.stringContaining('not known whether'),
    });
    expect((await send('tasks/result', { taskId })).error?.data).toMatchObject({ code: 'outcome_unknown' });
    expect(gated.ran).toHaveLength(1);
    await own.close();
    await gated.close();
  });

  it('is waited for when the gateway is told to stop while the upstream is at work', async () => {
    const { bank: gated, env: own, client } = await openSlowJobs();
    const stream = client.experimental.tasks.callToolStream({ name: 'slow_job', arguments: {} }, CallToolResultSchema, {
      task: {},
    });
    expect((await stream.next()).value).toMatchObject({ type: 'taskCreated' });
    await expect.poll(() => gated.ran.length, { timeout: 10_000 }).toBe(1);
    await client.close();
    const ended = own.terminate();
    const refused = () =>
      fetch(`http://127.0.0.1:${own.ports.agents}/`).then(
        () => false,
        () => true,
      );
    await expect.poll(refused, { timeout: 10_000 }).toBe(true);
    gated.letGo();
    expect(await ended).toBe(0);
    expect(own.log.find(({ tool, upstream_status: status }) => tool === 'slow_job' && status === 200)).toBeDefined();
    await own.close();
    await gated.close();
  });

  it('says that it was executed once, where the answer was lost with the process', async ({
    env,
    bank,
    alice,
    connect,
    hold,
  }) => {
    const { taskId, id } = await hold(await connect());
    await alice.approve(id);
    await (await connect()).experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    await env.terminate();
    await env.start();
    const client = await connect();
    const task = await client.experimental.tasks.getTask(taskId);
    expect(task.status).toBe('failed');
    expect(task.statusMessage).toContain('Look at what it did');
    await expect(client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).rejects.toThrow('sent once');
    expect(ranWith(bank, lastAmount())).toHaveLength(1);
  });
});
