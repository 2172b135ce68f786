import { describe, expect, it } from 'vitest';
import type { Task, TaskCall } from '../../src/domain/task.ts';
import { codeOf } from '../support/failures.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { GENEROUS, principalOf, requestOf } from '../support/holds/values.ts';

const bench = useBench();

const AGENT = principalOf().id;
const words = { objective: 'pay the invoice', plan: ['look', 'pay'], labels: ['finance'] };
const call = (at: number): TaskCall => ({
  at,
  upstream: 'ledger',
  method: 'GET',
  path: '/accounts',
  decision: 'allow',
  status: 200,
});

async function held(task: Task) {
  return openHoldBy(bench, { task });
}

describe('tasks in SQLite', () => {
  it('opens, revises and ends a task, durably', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    expect(task).toEqual({
      ...words,
      id: expect.stringMatching(/^task_[\w-]{22}$/),
      revision: 1,
      root: task.id,
      ancestors: [],
      provenance: 'declared',
      attestations: [],
      agentKey: AGENT,
      createdAt: bench.clock.now(),
    });
    expect(await bench.store.tasks.revise(task.id, AGENT, { ...words, plan: [] })).toMatchObject({
      revision: 2,
      plan: [],
    });
    await bench.restart();
    expect(await bench.store.tasks.get(task.id)).toMatchObject({ revision: 2, objective: words.objective, plan: [] });
    bench.clock.advance(5);
    const ended = await bench.store.tasks.end(task.id, AGENT);
    bench.clock.advance(5);
    expect(await bench.store.tasks.end(task.id, AGENT)).toEqual(ended);
    expect(await codeOf(bench.store.tasks.revise(task.id, AGENT, words))).toBe('task_ended');
  });

  it('keeps a task from everybody but the agent that opened it', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    expect(await codeOf(bench.store.tasks.revise(task.id, 'spiffe://other', words))).toBe('task_not_found');
    expect(await codeOf(bench.store.tasks.end(task.id, 'spiffe://other'))).toBe('task_not_found');
    expect(await codeOf(bench.store.tasks.end('task_none', AGENT))).toBe('task_not_found');
    expect((await bench.store.tasks.get(task.id))?.endedAt).toBeUndefined();
  });

  it('voids pending and unused approvals with a revision, wakes their waiters, and leaves claimed and foreign holds alone', async () => {
    const [task, other] = [
      await bench.store.tasks.open(AGENT, words, GENEROUS),
      await bench.store.tasks.open(AGENT, words, GENEROUS),
    ];
    const pending = await held(task);
    const waiter = bench.approvals.obtain(requestOf({ task, waitMs: 60_000 }));
    waiter.catch(() => {});
    const approved = await openHoldBy(bench, { task, idempotencyKey: 'a' });
    await approve(bench, approved);
    const claimed = await openHoldBy(bench, { task, idempotencyKey: 'b' });
    await approve(bench, claimed);
    await bench.approvals.obtain(requestOf({ task, idempotencyKey: 'b' }));
    const foreign = await held(other);
    await bench.store.tasks.revise(task.id, AGENT, words);
    const states = await Promise.all(
      [pending, approved, claimed, foreign].map(async (hold) => (await bench.store.holds.get(hold.id))?.state),
    );
    expect(states).toEqual(['INVALIDATED', 'INVALIDATED', 'RELEASING', 'PENDING']);
    expect(await codeOf(waiter)).toBe('approval_invalidated');
    expect(bench.ended).toEqual(['INVALIDATED', 'INVALIDATED']);
  });

  it('revokes what is open when the task ends', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    const hold = await held(task);
    await bench.store.tasks.end(task.id, AGENT);
    expect(await bench.store.holds.get(hold.id)).toMatchObject({
      state: 'REVOKED',
      endedAt: bench.clock.now(),
      endedBecause: expect.any(String),
    });
    expect(await codeOf(bench.approvals.obtain(requestOf({ task })))).toBe('approval_revoked');
  });

  it('shows a call at once, keeps the latest 200 in order, and has them after a restart', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    const before = bench.store.tasks.calls(task.id);
    for (let at = 1; at <= 450; at++) bench.store.tasks.record(task.id, call(at));
    expect(before).toEqual([]);
    const latest = bench.store.tasks.calls(task.id);
    expect(latest).toHaveLength(200);
    expect([latest[0], latest[199]]).toEqual([call(251), call(450)]);
    await bench.restart();
    expect(bench.store.tasks.calls(task.id)).toEqual(latest);
    expect(bench.store.tasks.calls('task_none')).toEqual([]);
  });

  it('forgets no call of a task that fell out of memory before it was written', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    bench.store.tasks.record(task.id, call(1));
    for (let i = 0; i < 1_100; i++) bench.store.tasks.calls(`task_${i}`);
    expect(bench.store.tasks.calls(task.id)).toEqual([call(1)]);
  });

  it('does not let calls of unknown tasks keep others from being written', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    bench.store.tasks.record('task_none', call(1));
    bench.store.tasks.record(task.id, call(2));
    await bench.restart();
    expect(bench.store.tasks.calls(task.id)).toEqual([call(2)]);
    expect(bench.errors).toEqual([]);
  });
});

describe('the credential ledger', () => {
  it('keeps what was issued until it is settled, over a restart', async () => {
    const entry = { id: 'cred_1', name: 'n', provider: 'p', sealed: 's', issuedAt: 1, attempts: 0 };
    await bench.store.credentials.intend(entry);
    await bench.store.credentials.intend({
      ...entry,
      id: 'cred_2',
      holdId: 'h',
      taskId: 't',
      expiresAt: 9,
      issuedAt: 2,
    });
    await bench.store.credentials.failed('cred_1');
    await bench.restart();
    expect(await bench.store.credentials.outstanding()).toEqual([
      { ...entry, attempts: 1 },
      { ...entry, id: 'cred_2', holdId: 'h', taskId: 't', expiresAt: 9, issuedAt: 2 },
    ]);
    await bench.store.credentials.settle('cred_1');
    expect((await bench.store.credentials.outstanding()).map(({ id }) => id)).toEqual(['cred_2']);
  });
});
