// classify: what the call would do, under which task, and what the mount's protocol says to it.

import { describe, expect } from 'vitest';
import type { ProtocolHandler } from '../../src/domain/protocol-handler.ts';
import { codeOf } from '../support/failures.ts';
import { GENEROUS, principalOf } from '../support/holds/values.ts';
import { it, LOOK, NO_PROTOCOL, TRANSFER, type Workbench } from './workbench.ts';

/** A protocol that adds nothing, but for what the test says. */
const protocolOf = (more: Partial<ProtocolHandler>): ProtocolHandler => ({ ...NO_PROTOCOL, ...more });

describe('the action', () => {
  it('has the arguments of a body that a rule reads, and the digest of its bytes', async ({ work }) => {
    work.rules = [{ id: 'small', match: { upstream: 'ledger' }, when: 'args.amount < 10', decide: 'allow' }];
    const { action } = await work.classified(work.call(TRANSFER));
    expect(action).toMatchObject({ method: 'POST', path: '/transfers', args: { amount: 5 }, streamed: false });
    expect(action.body?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has no body where no rule reads one: it will be streamed', async ({ work }) => {
    work.rules = [{ id: 'all', match: { upstream: 'ledger' }, decide: 'allow' }];
    const { action } = await work.classified(work.call(TRANSFER));
    expect([action.streamed, action.body, action.args]).toEqual([true, undefined, undefined]);
  });
});

describe('a task', () => {
  it('is that of the caller, with its calls on record', async ({ work }) => {
    const task = await work.task();
    const headers = ['countersign-task', task.id];
    await work.run(work.call({ ...LOOK, headers }));
    const { task: found, calls } = await work.classified(work.call({ ...LOOK, headers }));
    expect(found).toMatchObject({ id: task.id, revision: 1 });
    expect(calls.map(({ path, status }) => [path, status])).toEqual([['/accounts', 200]]);
  });

  it.for<[string, string, (work: Workbench) => Promise<string>]>([
    ['that does not exist', 'task_not_found', async () => 'task_AAAAAAAAAAAAAAAAAAAAAA'],
    [
      'of another agent',
      'task_not_found',
      async (work) => {
        const words = { objective: 'o', plan: [], labels: [] };
        return (await work.bench.store.tasks.open('spiffe://prod.example.org/other', words, GENEROUS)).id;
      },
    ],
    [
      'that has ended',
      'task_ended',
      async (work) => {
        const { id } = await work.task();
        await work.bench.store.tasks.end(id, principalOf().id);
        return id;
      },
    ],
  ])('%s is refused with %s', async ([_what, code, taskId], { work }) => {
    const opened = work.call({ ...LOOK, headers: ['countersign-task', await taskId(work)] });
    expect(await codeOf(work.classified(opened))).toBe(code);
    expect(opened.call.reached.action?.path).toBe('/accounts');
  });

  it('is refused to an agent of whom the store keeps as much as it may', async ({ work }) => {
    const task = await work.task();
    work.limits = { storedBytesPerAgent: 1 };
    const opened = work.call({ ...LOOK, headers: ['countersign-task', task.id] });
    expect(await codeOf(work.classified(opened))).toBe('too_much_stored');
    expect(await codeOf(work.classified(work.call()))).toBe('resolved');
  });
});

describe('a protocol', () => {
  it('adds to the action what it knows', async ({ work }) => {
    work.handler = protocolOf({ enrich: (action) => ({ ...action, tool: 'read_balance' }) });
    expect((await work.classified(work.call())).action.tool).toBe('read_balance');
  });

  it('may answer a message by itself: then no call goes on', async ({ work }) => {
    work.handler = protocolOf({ onMessage: async () => 'answered' as const });
    const opened = work.call();
    expect(await work.steps.classify(await work.recognised(opened))).toBeUndefined();
    await work.run(work.call());
    expect([work.sent, work.bench.audit]).toEqual([[], []]);
  });

  it('may put a held call in the place of the message: its action, its task and its bound fields', async ({ work }) => {
    const task = await work.task();
    await work.run(work.call({ ...TRANSFER, headers: ['countersign-task', task.id, 'accept', 'text/plain'] }));
    const hold = await work.hold();
    const { action } = await work.classified(work.call(TRANSFER));
    const held = { ...action, boundHeaders: hold.action.boundHeaders };
    work.handler = protocolOf({ onMessage: async () => ({ action: held, hold }) });
    const classified = await work.classified(
      work.call({ ...LOOK, headers: ['accept', 'application/json', 'x-other', '1'] }),
    );
    expect(classified).toMatchObject({ action: { path: '/transfers' }, task: { id: task.id } });
    expect(classified.resumes).toEqual({
      holdId: hold.id,
      headers: ['x-other', '1', ...hold.action.boundHeaders],
    });
    expect(hold.action.boundHeaders).toContain('text/plain');
  });
});

describe('a mount that several servers share', () => {
  it('leads to the server that the request is for, in its words', async ({ work }) => {
    work.route = async (request) => ({ mount: 'ledger/files', request: { ...request, path: '/files' } });
    const classified = await work.classified(work.call({ ...LOOK, mount: 'all' }));
    expect([classified.mount.name, classified.request.path, classified.arrived.path]).toEqual([
      'ledger/files',
      '/files',
      '/accounts',
    ]);
  });
});
