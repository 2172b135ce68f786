// Calls that need a task: every way to name one, over HTTP and with real MCP clients, and the tasks that the gateway opens
// for a session. Kinds of fault: a call that passes without a task, a task that another agent's session lends, a name that
// reaches the server or the approval, a deny that the missing task hides.

import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1, connectV2 } from '../support/mcp-clients.ts';
import { startMcpUpstream, startStatelessUpstream } from '../support/mcp-upstream.ts';
import { answered, holdTransfer } from './held.ts';

const META = 'countersign/task';
const amount = countFrom(1);

const it = gatewayTest
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('modernBank', file, ({ closes }) => closes(startStatelessUpstream()))
  .extend('env', file, ({ bank, modernBank, environment }) =>
    environment(({ origin }) => ({
      upstreams: {
        api: { requireTask: true } as never,
        signed: { url: origin, autoTask: 'session', requireTask: true },
        tools: { url: bank.url, protocol: 'mcp', requireTask: true },
        modern: { url: modernBank.url, protocol: 'mcp', requireTask: true },
        banks: { protocol: 'mcp', requireTask: true, servers: { north: { url: bank.url } } },
        auto: { url: bank.url, protocol: 'mcp', autoTask: 'session' },
        both: { url: bank.url, protocol: 'mcp', autoTask: 'session', requireTask: true },
        strict: { url: bank.url, protocol: 'mcp', autoTask: 'session', requireTask: 'attested' },
        tiered: { url: bank.url, protocol: 'mcp' },
      },
      tiers: {
        payment: { reviewers: ['group:finance'], decideWithin: '5m', useWithin: '2m' },
        tasked: { reviewers: ['group:finance'], decideWithin: '5m', useWithin: '2m', requireTask: true },
      },
      rules: [
        rule.allow('all', { upstream: 'api' }),
        rule.allow('signed', { upstream: 'signed' }),
        rule.deny('twice-signed', { upstream: 'signed' }, { when: 'task.calls.size() > 1' }),
        rule.allow('tools', { tool: '*' }),
        rule.hold('transfers', { upstream: 'api', path: '/transfers' }),
        rule.deny('never', { upstream: 'api', path: '/never' }),
        rule.hold('pay', { upstream: 'auto', tool: 'transfer_funds' }),
        rule.hold('pay-tiered', { upstream: 'tiered', tool: 'transfer_funds' }, { tier: 'tasked' }),
        rule.deny(
          'twice',
          { upstream: 'auto', tool: 'read_balance' },
          { when: 'has(task.id) && task.calls.size() > 1' },
        ),
      ],
      limits: { wait: '0s', pendingPerAgent: 100 },
    })),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

const CODE = 'countersign/code';
const read = (client: Client, meta?: Record<string, unknown>) =>
  client.callTool({ name: 'read_balance', arguments: {}, ...(meta && { _meta: meta }) });

async function openTask(env: Environment, as = 'agent-1'): Promise<string> {
  const body = { objective: 'close the books' };
  return String((await answered(env.call('/countersign/v1/tasks', { method: 'POST', body, as }))).json.id);
}
const named = (task: string): CallOptions => ({ headers: { 'countersign-task': task } });

describe('over HTTP', () => {
  it('a call without a task is refused, and told every way to name one', async ({ env }) => {
    const before = env.upstream.requests.length;
    const refused = await answered(env.call('/api/accounts'));
    expect(refused).toMatchObject({ status: 403, code: 'task_required' });
    for (const way of ['Countersign-Task', META, 'countersign_open_task']) expect(refused.text).toContain(way);
    expect(env.upstream.requests.length).toBe(before);
    expect((await env.call('/api/accounts', named(await openTask(env)))).status).toBe(200);
  });

  it('a deny comes first, and a hold comes after: nobody is asked about a call without a task', async ({ env }) => {
    expect(await answered(env.call('/api/never'))).toMatchObject({ code: 'denied' });
    const transfer = env.transfer({ amount: amount() }, { headers: { prefer: 'wait=0' } });
    expect(await answered(transfer)).toMatchObject({ code: 'task_required' });
    expect(await holdTransfer(env, { amount: amount() }, named(await openTask(env)))).toMatch(/^hold_/);
  });

  it('a task of somebody else is no task', async ({ env }) => {
    const task = await openTask(env, 'agent-2');
    expect(await answered(env.call('/api/accounts', named(task)))).toMatchObject({ code: 'task_not_found' });
  });
});

describe('over MCP', () => {
  it.for(['tools', 'banks'])(
    'the tool of the gateway opens a task for the session: %s',
    async (mount, { env, bank }) => {
      const { client } = await connectV1(env, mount);
      const { tools } = await client.listTools();
      expect(tools[0]?.name).toBe('countersign_open_task');
      const tool = mount === 'banks' ? 'north__read_balance' : 'read_balance';
      const call = () => client.callTool({ name: tool, arguments: {} });
      expect(await call()).toMatchObject({ isError: true, _meta: { [CODE]: 'task_required' } });
      const opened = await client.callTool({
        name: 'countersign_open_task',
        arguments: { objective: 'close the books', plan: ['read', 'compare'] },
      });
      expect(opened).toMatchObject({
        structuredContent: { id: expect.stringMatching(/^task_/), revision: 1, provenance: 'declared' },
      });
      const ran = bank.ran.length;
      expect((await call()).isError).not.toBe(true);
      expect(bank.ran.length).toBe(ran + 1);
    },
  );

  it('the tool answers what it cannot read as a tool does, and opens children', async ({ env }) => {
    const { client } = await connectV1(env, 'tools');
    const open = (args: Record<string, unknown>) => client.callTool({ name: 'countersign_open_task', arguments: args });
    expect(await open({ objectives: 'x' })).toMatchObject({ isError: true, _meta: { [CODE]: 'bad_request' } });
    const parent = await openTask(env);
    expect(await open({ objective: 'a part', parent })).toMatchObject({ structuredContent: { root: parent } });
    expect(await open({ objective: 'a part', parent: await openTask(env, 'agent-2') })).toMatchObject({
      isError: true,
      _meta: { [CODE]: 'task_not_found' },
    });
  });

  it('without a session the tool names the member that names the task, and that member goes no further', async ({
    env,
    modernBank,
  }) => {
    const client = await connectV2(env, 'modern');
    expect((await client.listTools()).tools[0]?.name).toBe('countersign_open_task');
    const opened = await client.callTool({
      name: 'countersign_open_task',
      arguments: { objective: 'close the books' },
    });
    const { id } = opened.structuredContent as { id: string };
    expect(JSON.stringify(opened.content)).toContain(`\\"${META}\\": \\"${id}\\"`);
    const call = (meta: Record<string, unknown>) =>
      client.callTool({ name: 'read_balance', arguments: {}, _meta: meta } as never);
    expect(await call({})).toMatchObject({ isError: true, _meta: { [CODE]: 'task_required' } });
    const ran = modernBank.ran.length;
    expect((await call({ [META]: id })).isError).not.toBe(true);
    expect(modernBank.ran.length).toBe(ran + 1);
    expect(await call({ [META]: 'task_none' })).toMatchObject({ isError: true, _meta: { [CODE]: 'task_not_found' } });
  });

  it('the field comes before the member, and the member before the session', async ({ env }) => {
    const { client, transport } = await connectV1(env, 'tools');
    await client.callTool({ name: 'countersign_open_task', arguments: { objective: 'close the books' } });
    expect(await read(client, { [META]: 'task_none' })).toMatchObject({ _meta: { [CODE]: 'task_not_found' } });
    const { sessionId } = transport;
    const headers = { 'countersign-task': await openTask(env) };
    const again = await connectV1(env, 'tools', { sessionId, headers });
    expect((await read(again.client, { [META]: 'task_none' })).isError).not.toBe(true);
  });

  it('a session lends its task to no other agent', async ({ env }) => {
    const { client, transport } = await connectV1(env, 'tools');
    await client.callTool({ name: 'countersign_open_task', arguments: { objective: 'close the books' } });
    const { sessionId } = transport;
    const thief = await connectV1(env, 'tools', { as: 'agent-2', sessionId });
    expect(await read(thief.client)).toMatchObject({ isError: true, _meta: { [CODE]: 'task_required' } });
    const own = await connectV1(env, 'tools', { sessionId });
    expect((await read(own.client)).isError).not.toBe(true);
  });

  it('the same call under another task of the session is the same message to the server', async ({ env, bank }) => {
    const { client } = await connectV1(env, 'tiered');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('countersign_open_task');
    const args = { amount: amount() };
    const pay = (meta?: Record<string, unknown>) =>
      client.callTool({ name: 'transfer_funds', arguments: args, ...(meta && { _meta: meta }) });
    expect((await read(client)).isError).not.toBe(true);
    expect(await pay()).toMatchObject({ isError: true, _meta: { [CODE]: 'task_required' } });
    const task = await openTask(env);
    expect(await pay({ [META]: task })).toMatchObject({ _meta: { [CODE]: 'approval_pending' } });
    expect(bank.ran.filter(({ name }) => name === 'transfer_funds')).toEqual([]);
  });
});

describe('autoTask: session', () => {
  it('opens one task for each session, which satisfies requireTask: true and not attested', async ({ env }) => {
    const { client } = await connectV1(env, 'both');
    expect((await read(client)).isError).not.toBe(true);
    const strict = await connectV1(env, 'strict');
    expect(await read(strict.client)).toMatchObject({ isError: true, _meta: { [CODE]: 'task_required' } });
  });

  it('carries the history of its session, and not that of another one', async ({ env }) => {
    const first = await connectV1(env, 'auto', { as: 'auto-1' });
    await read(first.client);
    await read(first.client);
    expect(await read(first.client)).toMatchObject({ isError: true, _meta: { [CODE]: 'denied' } });
    const second = await connectV1(env, 'auto', { as: 'auto-1' });
    expect((await read(second.client)).isError).not.toBe(true);
  });

  it('goes by the session of the token where there is no MCP session', async ({ env }) => {
    const call = async (sid?: string) =>
      (await answered(env.call('/signed/x', { ...(sid !== undefined && { claims: { sid } }) }))).code;
    expect([await call('s-1'), await call('s-1'), await call('s-1')]).toEqual([undefined, undefined, 'denied']);
    expect(await call('s-2')).toBeUndefined();
    // Without a task the condition fails to evaluate, which counts as a match.
    expect(await call()).toBe('denied');
  });

  it('is no part of an approval: another session of the agent uses it', async ({ env, alice, bank }) => {
    const args = { amount: amount() };
    const pay = async () => {
      const { client } = await connectV1(env, 'auto', { as: 'auto-2' });
      return client.callTool({ name: 'transfer_funds', arguments: args });
    };
    const held = await pay();
    const hold = String(held._meta?.['countersign/hold']);
    expect((await alice.show(hold)).task).toMatchObject({ provenance: 'implicit' });
    await alice.approve(hold);
    expect((await pay()).isError).not.toBe(true);
    expect(bank.ran.at(-1)).toMatchObject({ name: 'transfer_funds', args });
  });
});

describe('the task of a session', () => {
  it('is still its task after a crash, and its end is the end of the session’s calls', async ({ env }) => {
    const { client, transport } = await connectV1(env, 'both', { as: 'lasting' });
    const opened = await client.callTool({
      name: 'countersign_open_task',
      arguments: { objective: 'close the books' },
    });
    const { id } = opened.structuredContent as { id: string };
    const { sessionId } = transport;
    await env.kill();
    await env.start();
    const again = await connectV1(env, 'both', { as: 'lasting', sessionId });
    expect((await read(again.client)).isError).not.toBe(true);
    await env.call(`/countersign/v1/tasks/${id}`, { method: 'DELETE', as: 'lasting' });
    expect(await read(again.client)).toMatchObject({ isError: true, _meta: { [CODE]: 'task_ended' } });
  });
});
