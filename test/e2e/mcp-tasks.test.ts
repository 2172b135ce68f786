// Tool calls as core tasks of revision 2025-11-25 with the TypeScript SDK v1 client, held and not held, over real
// sockets and a gateway in a process of its own: sent once, ended in words, and of no use to anybody else.

import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect } from 'vitest';
import { rule, type WholeConfig } from '../support/config.ts';
import type { McpUpstream } from '../support/mcp-upstream.ts';
import {
  type Answer,
  lastAmount,
  nextAmount,
  openSlowJobs,
  payment,
  ranWith,
  taskGatewayTest,
} from '../support/task-gateway.ts';

const it = taskGatewayTest;

it.afterEach(({ gateway }) => gateway.closeClients());

describe('a held call of an SDK v1 client that takes tasks', () => {
  it('is asked for as a task by default, and ends with the upstream’s result once it is approved', async ({
    bank,
    alice,
    connect,
  }) => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(tools.find(({ name }) => name === 'transfer_funds')?.execution).toEqual({ taskSupport: 'optional' });
    expect(tools.find(({ name }) => name === 'read_balance')?.execution).toBeUndefined();
    const call = payment();
    const seen: string[] = [];
    let result: unknown;
    for await (const message of client.experimental.tasks.callToolStream(call)) {
      seen.push(message.type === 'taskStatus' ? message.task.status : message.type);
      if (message.type === 'taskCreated') await alice.approve(message.task.taskId.replace('countersign.', ''));
      if (message.type === 'result') result = message.result;
    }
    expect(seen[0]).toBe('taskCreated');
    expect(seen).toContain('working');
    expect(seen.slice(-2)).toEqual(['completed', 'result']);
    expect(result).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(ranWith(bank, call.arguments.amount)).toHaveLength(1);
  });

  it('can be waited for with tasks/result, whose answer names the task', async ({ bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    const answer = client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    await alice.approve(id);
    expect(await answer).toMatchObject({
      content: [{ text: 'done transfer_funds' }],
      _meta: { 'io.modelcontextprotocol/related-task': { taskId } },
    });
    // Again, and not sent again.
    expect(await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).toMatchObject({
      content: [{ text: 'done transfer_funds' }],
    });
    expect(ranWith(bank, lastAmount())).toHaveLength(1);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  // Kind: an approval that is bound to how a call arrives. The server knows the session that the call was held in no
  // more.
  it('is executed for a client that comes back for it in another session, in that session', async ({
    bank,
    alice,
    connect,
    hold,
  }) => {
    const first = await connect();
    const { taskId, id } = await hold(first);
    await (first.transport as StreamableHTTPClientTransport).terminateSession();
    await alice.approve(id);
    const second = await connect();
    expect(await second.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).toMatchObject({
      content: [{ text: 'done transfer_funds' }],
    });
    expect(ranWith(bank, lastAmount())).toHaveLength(1);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('is waited for past limits.wait with progress, like any held call', async ({ bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    const progress: string[] = [];
    const options = {
      onprogress: ({ message }: { message?: string | undefined }) => void progress.push(message ?? ''),
      resetTimeoutOnProgress: true,
    };
    const answer = client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema, options);
    await expect.poll(() => progress.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(progress[0]).toContain(id);
    // Longer than limits.wait: another call of this agent has waited in vain meanwhile.
    expect(await client.callTool(payment())).toMatchObject({ isError: true });
    const paid = lastAmount() - 1;
    await alice.approve(id);
    expect(await answer).toMatchObject({
      content: [{ text: 'done transfer_funds' }],
      _meta: { 'io.modelcontextprotocol/related-task': { taskId } },
    });
    expect(ranWith(bank, paid)).toHaveLength(1);
  });

  it('belongs to the agent’s task (Countersign-Task) that it was held under, whatever its polls name', async ({
    env,
    alice,
  }) => {
    const open = async () =>
      (
        (await (await env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay' } })).json()) as {
          id: string;
        }
      ).id;
    const [under, another] = [await open(), await open()];
    const call = async (method: string, params: object, task?: string) => {
      const headers = {
        'mcp-protocol-version': '2025-11-25',
        accept: 'application/json, text/event-stream',
        ...(task && { 'countersign-task': task }),
      };
      const response = await env.call('/tools', {
        method: 'POST',
        headers,
        body: { jsonrpc: '2.0', id: 1, method, params },
      });
      return (await response.json()) as Answer;
    };
    const [kept, voided] = [
      await call('tools/call', { ...payment(), task: {} }, under),
      await call('tools/call', { ...payment(), task: {} }, under),
    ];
    const idOf = (created: Answer) => String(created.result?.task?.taskId).replace('countersign.', '');
    expect((await alice.show(idOf(kept))).task).toMatchObject({ id: under });
    await alice.approve(idOf(kept));
    const polled = await call('tasks/get', { taskId: kept.result?.task?.taskId }, another);
    expect(polled.result).toMatchObject({ status: 'working' });
    await expect.poll(async () => (await alice.show(idOf(kept))).state, { timeout: 10_000 }).not.toBe('APPROVED');
    await env.call(`/countersign/v1/tasks/${under}`, { method: 'DELETE' });
    expect((await call('tasks/get', { taskId: voided.result?.task?.taskId })).result).toMatchObject({
      status: 'failed',
      _meta: { 'countersign/code': 'approval_revoked' },
    });
  });

  it('is sent once, however many polls come for its approval at once', async ({ bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    await alice.approve(id);
    const polls = [1, 2, 3, 4].map(() => client.experimental.tasks.getTask(taskId));
    const results = [1, 2, 3].map(() => client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema));
    for (const task of await Promise.all(polls)) expect(['working', 'completed']).toContain(task.status);
    for (const result of await Promise.all(results))
      expect(result).toMatchObject({ content: [{ text: 'done transfer_funds' }] });
    expect(ranWith(bank, lastAmount())).toHaveLength(1);
  });

  it('ends as failed, with the words and the code of the denial', async ({ bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    await alice.deny(id);
    const task = await client.experimental.tasks.getTask(taskId);
    expect(task).toMatchObject({ status: 'failed', _meta: { 'countersign/code': 'approval_denied' } });
    expect(task.statusMessage).toContain('Do not rephrase it');
    const result = await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    expect(result).toMatchObject({
      isError: true,
      _meta: { 'countersign/code': 'approval_denied', 'countersign/hold': id },
    });
    expect(ranWith(bank, lastAmount())).toHaveLength(0);
  });

  it('ends as failed when nobody decides in time, or nobody comes for the approval', async ({
    bank,
    alice,
    connect,
    hold,
  }) => {
    const client = await connect();
    const hurried = () => ({ name: 'route_job', arguments: { n: nextAmount() } });
    const undecided = await hold(client, hurried());
    const unused = await hold(client, hurried());
    await alice.approve(unused.id);
    await expect.poll(async () => (await alice.show(unused.id)).state, { timeout: 10_000 }).toBe('EXPIRED');
    await expect.poll(async () => (await alice.show(undecided.id)).state, { timeout: 10_000 }).toBe('EXPIRED');
    const codeOf = async (taskId: string) =>
      ((await client.experimental.tasks.getTask(taskId))._meta as Record<string, unknown>)['countersign/code'];
    expect(await codeOf(undecided.taskId)).toBe('approval_expired');
    expect(await codeOf(unused.taskId)).toBe('approval_unused');
    expect(await client.experimental.tasks.getTaskResult(unused.taskId, CallToolResultSchema)).toMatchObject({
      isError: true,
    });
    expect(bank.ran.filter(({ name }) => name === 'route_job')).toHaveLength(0);
  });

  it('ends as failed when the tool says that it failed, in the tool’s words', async ({ alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client, { name: 'secret_tool', arguments: { n: nextAmount() } });
    await alice.approve(id);
    await expect
      .poll(async () => (await client.experimental.tasks.getTask(taskId)).status, { timeout: 15_000 })
      .toBe('failed');
    expect((await client.experimental.tasks.getTask(taskId)).statusMessage).toBe('it said no');
    expect(await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).toMatchObject({
      isError: true,
      content: [{ text: 'it said no' }],
    });
  });

  it('is cancelled by tasks/cancel, once', async ({ alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    expect(await client.experimental.tasks.cancelTask(taskId)).toMatchObject({ taskId, status: 'cancelled' });
    expect((await alice.show(id)).state).toBe('CANCELLED');
    await expect(client.experimental.tasks.cancelTask(taskId)).rejects.toThrow('-32602');
    expect((await client.experimental.tasks.getTask(taskId)).status).toBe('cancelled');
  });

  it('is not cancelled when its client gives up waiting for the result', async ({ bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    const aborter = new AbortController();
    const progress = Promise.withResolvers<void>();
    const options = { signal: aborter.signal, onprogress: () => progress.resolve() };
    const result = client.experimental.tasks
      .getTaskResult(taskId, CallToolResultSchema, options)
      .catch((error: Error) => error);
    await progress.promise;
    // The SDK sends notifications/cancelled for its request.
    const before = bank.arrived.length;
    aborter.abort();
    expect(await result).toBeInstanceOf(Error);
    await expect.poll(() => bank.arrived.slice(before), { timeout: 10_000 }).toContain('notifications/cancelled');
    expect((await alice.show(id)).state).toBe('PENDING');
  });

  it('goes on when the client that polls for it goes away while the upstream is at work', async ({ gateway }) => {
    const { env, bank, alice, connect, hold } = gateway;
    const client = await connect();
    const { taskId, id } = await hold(client, { name: 'slow_job', arguments: { size: 20 + nextAmount() } });
    await alice.approve(id);
    const aborter = new AbortController();
    const body = { jsonrpc: '2.0', id: 1, method: 'tasks/result', params: { taskId } };
    const result = env.call('/tools', { method: 'POST', body, signal: aborter.signal }).catch((error: Error) => error);
    await expect
      .poll(() => bank.ran.filter(({ args }) => args.size === 20 + lastAmount()), { timeout: 10_000 })
      .toHaveLength(1);
    aborter.abort();
    expect(await result).toBeInstanceOf(Error);
    // The connection is closed for good: this answer came later on another.
    await expect
      .poll(async () => (await client.experimental.tasks.getTask(taskId)).status, { timeout: 10_000 })
      .toBe('working');
    expect((await client.experimental.tasks.getTask(taskId)).status).toBe('working');
    // Too late to be taken back.
    await expect(client.experimental.tasks.cancelTask(taskId)).rejects.toThrow('-32602');
    bank.letGo();
    await expect
      .poll(async () => (await client.experimental.tasks.getTask(taskId)).status, { timeout: 15_000 })
      .toBe('completed');
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it.for<[string, (config: WholeConfig, bank: McpUpstream) => unknown]>([
    [
      'the rule that its approval rests on has changed, also when nothing would hold it any more',
      ({ rules }) => rules.splice(0, 1, rule.allow('pay', { tool: 'transfer_funds' })),
    ],
    [
      'its upstream has moved, were it only to another path',
      ({ upstreams }, bank) => Object.assign(upstreams, { tools: { url: `${bank.url}-moved`, protocol: 'mcp' } }),
    ],
  ])('is void when %s', async ([_what, change], { env, bank, alice, connect, hold }) => {
    const client = await connect();
    const { taskId, id } = await hold(client);
    await alice.approve(id);
    const before = env.config;
    expect(await env.edit((config) => void change(config, bank))).toBe('config.reloaded');
    expect(await client.experimental.tasks.getTask(taskId)).toMatchObject({
      status: 'failed',
      _meta: { 'countersign/code': 'approval_invalidated' },
    });
    expect((await alice.show(id)).state).toBe('INVALIDATED');
    expect(await env.edit(before)).toBe('config.reloaded');
    expect((await client.experimental.tasks.getTask(taskId)).status).toBe('failed');
    expect(ranWith(bank, lastAmount())).toHaveLength(0);
  });

  it('does not let the server ask the agent’s side for anything: nobody is there to answer', async ({
    alice,
    connect,
    hold,
  }) => {
    const client = await connect();
    const { taskId, id } = await hold(client, { name: 'ask_user', arguments: { n: nextAmount() } });
    await alice.approve(id);
    const result = await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
    expect(JSON.stringify(result)).toContain('does not let elicitation/create through');
  });
});

describe('a call that nobody holds, asked for as a task', () => {
  it('runs while its client polls, for this client alone', async ({ bank, connect }) => {
    const client = await connect();
    const stream = client.experimental.tasks.callToolStream(
      { name: 'slow_job', arguments: { size: 1 } },
      CallToolResultSchema,
      { task: { ttl: 60_000 } },
    );
    const { value } = await stream.next();
    const { taskId } = (value as { task: { taskId: string } }).task;
    expect(taskId).toMatch(/^countersign\.call_[\w-]{22}$/);
    await expect((await connect('agent-2')).experimental.tasks.getTask(taskId)).rejects.toThrow(
      'There is no such task of yours',
    );
    bank.letGo();
    await expect
      .poll(async () => (await client.experimental.tasks.getTask(taskId)).status, { timeout: 15_000 })
      .toBe('completed');
    expect(await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema)).toMatchObject({
      content: [{ text: 'done slow_job' }],
    });
  });

  it('is refused when too many of them run', async () => {
    const { bank: upstream, env: small, client } = await openSlowJobs();
    const start = async () => {
      const stream = client.experimental.tasks.callToolStream(
        { name: 'slow_job', arguments: {} },
        CallToolResultSchema,
        { task: {} },
      );
      return (await stream.next()).value;
    };
    for (let n = 0; n < 50; n++) expect(await start()).toMatchObject({ type: 'taskCreated' });
    expect(await start()).toMatchObject({ type: 'error', error: { data: { code: 'too_many_pending' } } });
    upstream.letGo();
    await expect.poll(start, { timeout: 10_000 }).toMatchObject({ type: 'taskCreated' });
    await client.close();
    await small.close();
    await upstream.close();
  }, 60_000);

  it('is refused by an error that such a client can read', async ({ connect }) => {
    const client = await connect();
    const stream = client.experimental.tasks.callToolStream(
      { name: 'no_such_rule', arguments: {} },
      CallToolResultSchema,
      { task: {} },
    );
    expect((await stream.next()).value).toMatchObject({ type: 'error', error: { data: { code: 'no_matching_rule' } } });
  });
});

describe('the task of somebody else', () => {
  it('cannot be told from one that never was, nor changed', async ({ bank, alice, connect, hold, modern }) => {
    const owner = await connect();
    const { taskId, id } = await hold(owner);
    await alice.approve(id);
    const other = await connect('agent-2');
    const never = `countersign.hold_${'A'.repeat(22)}`;
    const tasks = other.experimental.tasks;
    const asked = (ask: (task: string) => Promise<unknown>) =>
      Promise.all([taskId, never].map((task) => ask(task).then(String, String)));
    for (const ask of [
      (task: string) => tasks.getTask(task),
      (task: string) => tasks.getTaskResult(task, CallToolResultSchema),
      (task: string) => tasks.cancelTask(task),
    ]) {
      const [theirs, nobodys] = await asked(ask);
      expect(theirs).toContain('-32602');
      expect(theirs).toBe(nobodys);
    }
    expect((await alice.show(id)).state).toBe('APPROVED');
    expect(ranWith(bank, lastAmount())).toHaveLength(0);
    // On another mount it is no task either.
    expect((await modern('tasks/get', { taskId })).error?.code).toBe(-32602);
  });
});
