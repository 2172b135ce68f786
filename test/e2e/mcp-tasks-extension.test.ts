// Held tool calls as tasks of the extension io.modelcontextprotocol/tasks of 2026-07-28, by hand, over real sockets and
// a gateway in a process of its own.

import { describe, expect } from 'vitest';
import { lastAmount, nextAmount, payment, ranWith, taskGatewayTest } from '../support/task-gateway.ts';

const it = taskGatewayTest;

describe('the tasks extension of protocol 2026-07-28', () => {
  it('is declared by the gateway, and a held call comes back as a task that ends with the result', async ({
    modernBank,
    alice,
    modern,
    untilStatus,
  }) => {
    const { result: discovered } = await modern('server/discover', {});
    expect(discovered?.capabilities).toMatchObject({ extensions: { 'io.modelcontextprotocol/tasks': {} } });
    const created = await modern('tools/call', payment());
    expect(created.result).toMatchObject({
      resultType: 'task',
      status: 'working',
      _meta: { 'countersign/code': 'approval_pending' },
    });
    expect(created.result).toMatchObject({ pollIntervalMs: expect.any(Number), ttlMs: expect.any(Number) });
    const taskId = String(created.result?.taskId);
    expect(
      (await modern('tasks/get', { taskId }, { headers: { 'mcp-name': taskId, 'mcp-method': 'tasks/get' } })).result,
    ).toMatchObject({
      taskId,
      status: 'working',
    });
    expect((await modern('tasks/update', { taskId, inputResponses: {} })).result).toEqual({ resultType: 'complete' });
    await alice.approve(taskId.replace('countersign.', ''));
    const { result: ended } = await untilStatus(taskId, 'completed');
    expect(ended).toMatchObject({ resultType: 'complete', result: { content: [{ text: 'done transfer_funds' }] } });
    expect((await modern('tasks/get', { taskId })).result?.result).toEqual(ended?.result);
    expect(ranWith(modernBank, lastAmount())).toHaveLength(1);
  });

  it('ends a denied call as completed, with a result that is an error', async ({ alice, modern }) => {
    const taskId = String((await modern('tools/call', payment())).result?.taskId);
    await alice.deny(taskId.replace('countersign.', ''));
    const { result } = await modern('tasks/get', { taskId });
    expect(result).toMatchObject({
      status: 'completed',
      result: { isError: true, _meta: { 'countersign/code': 'approval_denied' } },
    });
    expect((await modern('tasks/cancel', { taskId })).result).toEqual({ resultType: 'complete' });
  });

  it('cancels the hold with tasks/cancel', async ({ alice, modern }) => {
    const taskId = String((await modern('tools/call', payment())).result?.taskId);
    expect((await modern('tasks/cancel', { taskId })).result).toEqual({ resultType: 'complete' });
    expect((await alice.show(taskId.replace('countersign.', ''))).state).toBe('CANCELLED');
    expect((await modern('tasks/get', { taskId })).result).toMatchObject({ status: 'cancelled' });
  });

  it('is used only for requests that declare it', async ({ modern }) => {
    const call = payment();
    const without = await modern('tools/call', call, { meta: {}, headers: { prefer: 'wait=0' } });
    expect(without.result).toMatchObject({ resultType: 'input_required' });
    const taskId = String((await modern('tools/call', call)).result?.taskId);
    expect((await modern('tasks/get', { taskId }, { meta: {} })).error).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
    });
  });

  it('refuses an Mcp-Name that is not the task’s', async ({ modern }) => {
    const taskId = String((await modern('tools/call', payment())).result?.taskId);
    const refused = await modern(
      'tasks/get',
      { taskId },
      { headers: { 'mcp-name': `countersign.hold_${'B'.repeat(22)}` } },
    );
    expect(refused).toMatchObject({ code: 'bad_rpc' });
  });

  it('ends as failed when the server wants input in the middle, which nobody could give', async ({
    alice,
    modern,
    untilStatus,
  }) => {
    const taskId = String(
      (await modern('tools/call', { name: 'ask_user', arguments: { n: nextAmount() } })).result?.taskId,
    );
    await alice.approve(taskId.replace('countersign.', ''));
    const { result } = await untilStatus(taskId, 'failed');
    expect(JSON.stringify(result?.error)).toContain('asked for something');
  });

  it('is left to a server that makes tasks itself', async ({ modern }) => {
    const { result } = await modern('tasks/get', { taskId: 'of-the-server' });
    expect(result).toBeUndefined();
    expect(await modern('tasks/get', { taskId: 'of-the-server' })).toMatchObject({
      error: { data: { code: 'no_matching_rule' } },
    });
  });
});
