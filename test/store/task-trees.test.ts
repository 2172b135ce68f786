// Trees of tasks in the store. Kinds of fault: a child that outlives its parent, a tree without bounds, a guest who may do
// what only the opener may, a tree that retention tears apart.

import { describe, expect, it } from 'vitest';
import { findTask, type Task, TREE_BOUNDS } from '../../src/domain/task.ts';
import { codeOf } from '../support/failures.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { GENEROUS, principalOf } from '../support/holds/values.ts';

const bench = useBench();

const words = { objective: 'pay the invoice', plan: [], labels: [] };
const ISSUER = 'https://idp.example.org';
const party = (subject: string) => ({ id: `${ISSUER}#${subject}`, issuer: ISSUER, subject });
const caller = (subject: string, ...chain: string[]) =>
  principalOf({ ...party(subject), kind: 'oidc', onBehalfOf: chain.map(party) });
const open = (by: string, parent?: Task) => bench.store.tasks.open(party(by).id, words, GENEROUS, parent);
const find = (task: Task, by: ReturnType<typeof caller>) => findTask(bench.store.tasks, task.id, by);

async function chain(length: number): Promise<Task[]> {
  const tasks = [await open('lead')];
  while (tasks.length < length) tasks.push(await open('lead', tasks.at(-1)));
  return tasks;
}

describe('a tree of tasks', () => {
  it('knows the root, the parent and all above, over a restart', async () => {
    const [root, child, grandchild] = (await chain(3)) as [Task, Task, Task];
    expect(root).toMatchObject({ root: root.id, ancestors: [] });
    expect(root).not.toHaveProperty('parent');
    expect(child).toMatchObject({ root: root.id, parent: root.id, ancestors: [root.id] });
    await bench.restart();
    expect(await bench.store.tasks.get(grandchild.id)).toEqual(grandchild);
    expect(grandchild).toMatchObject({ root: root.id, parent: child.id, ancestors: [root.id, child.id] });
  });

  it('ends downwards, with the holds of every level, and not upwards or sideways', async () => {
    const [root, child, grandchild] = (await chain(3)) as [Task, Task, Task];
    const sibling = await open('lead', root);
    const tasks = [root, child, grandchild, sibling];
    const holds = [];
    for (const task of tasks) {
      const [pending, approved] = [
        await openHoldBy(bench, { task, idempotencyKey: `${task.id} 1` }),
        await openHoldBy(bench, { task, idempotencyKey: `${task.id} 2` }),
      ];
      await approve(bench, approved);
      holds.push(pending, approved);
    }
    const { task, ids } = await bench.store.tasks.end(child.id, party('lead').id);
    expect(task).toMatchObject({ id: child.id, endedAt: bench.clock.now() });
    expect([...ids].sort()).toEqual([child.id, grandchild.id].sort());
    const states = await Promise.all(holds.map(async ({ id }) => (await bench.store.holds.get(id))?.state));
    expect(states).toEqual([
      ...['PENDING', 'APPROVED', 'REVOKED', 'REVOKED'],
      ...['REVOKED', 'REVOKED', 'PENDING', 'APPROVED'],
    ]);
    expect(await codeOf(find(grandchild, caller('lead')))).toBe('task_ended');
    expect(await codeOf(open('lead', grandchild))).toBe('task_ended');
    expect(await find(sibling, caller('lead'))).toMatchObject({ id: sibling.id });
  });

  it('has levels and tasks up to a bound', async () => {
    const deepest = await chain(TREE_BOUNDS.depth + 1);
    expect(deepest.at(-1)?.ancestors).toHaveLength(TREE_BOUNDS.depth);
    expect(await codeOf(open('lead', deepest.at(-1)))).toBe('task_tree_full');
    const [root] = deepest as [Task];
    const more = Array.from({ length: TREE_BOUNDS.tasks - deepest.length }, () => open('lead', root));
    deepest.push(...(await Promise.all(more)));
    expect(await codeOf(open('lead', root))).toBe('task_tree_full');
    // Ended tasks count: their rows stay as long as the tree does.
    await bench.store.tasks.end(deepest.at(-1)?.id ?? '', party('lead').id);
    expect(await codeOf(open('lead', root))).toBe('task_tree_full');
  });

  it('is kept as long as one of its tasks is used, and then goes whole', async () => {
    const DAY = 24 * 3_600_000;
    const [root, child] = (await chain(2)) as [Task, Task];
    for (let n = 0; n < 30; n++) await open('lead', root);
    await bench.store.tasks.invite(child.id, party('lead').id, party('guest').id);
    const sweep = async () => {
      const now = bench.clock.now();
      return (await bench.store.retention.sweep({ holds: now - 90 * DAY, bodies: now, tasks: now - 90 * DAY })).tasks;
    };
    bench.clock.advance(80 * DAY);
    await bench.store.tasks.revise(child.id, party('lead').id, words);
    bench.clock.advance(80 * DAY);
    expect(await sweep()).toBe(0);
    bench.clock.advance(10 * DAY);
    let deleted = 0;
    for (let batch = await sweep(); batch > 0; batch = await sweep()) deleted += batch;
    expect(deleted).toBe(32);
    expect(await bench.store.tasks.get(root.id)).toBeUndefined();
    expect(await bench.store.tasks.storedBytes(party('lead').id)).toBe(0);
  });
});

describe('who takes part', () => {
  it.for([
    ['who opened it', true, caller('lead')],
    ['a sub-agent whose chain names who opened it', true, caller('helper', 'alice', 'lead')],
    ['a guest', true, caller('guest')],
    ['an agent that acts for a guest', true, caller('helper', 'guest')],
    ['another agent', false, caller('helper')],
    ['another agent for the same person', false, caller('helper', 'alice')],
  ] as const)('%s: %s', async ([_who, takesPart, by]) => {
    const task = await open('lead');
    await bench.store.tasks.invite(task.id, party('lead').id, party('guest').id);
    expect(await codeOf(find(task, by))).toBe(takesPart ? 'resolved' : 'task_not_found');
  });

  it('not an actor of whom only another issuer speaks', async () => {
    const task = await open('lead');
    const foreign = { ...caller('helper'), issuer: 'https://other.example', id: 'https://other.example#helper' };
    expect(await codeOf(find(task, { ...foreign, onBehalfOf: [party('lead')] }))).toBe('task_not_found');
  });

  it('in one task is no part in the others of the tree', async () => {
    const [root, child] = (await chain(2)) as [Task, Task];
    await bench.store.tasks.invite(child.id, party('lead').id, party('guest').id);
    expect(await codeOf(find(root, caller('guest')))).toBe('task_not_found');
  });

  it('stays after a restart, once for each guest, and up to a bound', async () => {
    const task = await open('lead');
    const invite = (guest: string) => bench.store.tasks.invite(task.id, party('lead').id, party(guest).id);
    await Promise.all(Array.from({ length: TREE_BOUNDS.participants }, (_, n) => invite(`guest-${n}`)));
    await invite('guest-7');
    expect(await codeOf(invite('more'))).toBe('task_tree_full');
    await bench.restart();
    expect(await find(task, caller('guest-99'))).toMatchObject({ id: task.id });
  });

  it('lets a guest change nothing', async () => {
    const { tasks } = bench.store;
    const task = await open('lead');
    const [lead, guest] = [party('lead').id, party('guest').id];
    await tasks.invite(task.id, lead, guest);
    expect(await codeOf(tasks.revise(task.id, guest, words))).toBe('task_not_found');
    expect(await codeOf(tasks.end(task.id, guest))).toBe('task_not_found');
    expect(await codeOf(tasks.invite(task.id, guest, party('third').id))).toBe('task_not_found');
    expect(await tasks.get(task.id)).toEqual(task);
  });
});

describe('what an agent chooses', () => {
  // The parent ends by itself; until somebody looked, its children went on.
  it('ends a child with its parent, also when the parent got its end later', async () => {
    const [root, child, grandchild] = (await chain(3)) as [Task, Task, Task];
    const endsBy = bench.clock.now() + 60_000;
    await bench.store.tasks.revise(root.id, party('lead').id, { ...words, endsBy });
    expect((await bench.store.tasks.get(grandchild.id))?.endsBy).toBe(endsBy);
    bench.clock.advance(60_000);
    expect([root, child, grandchild].map(({ id }) => bench.store.tasks.isOpen(id))).toEqual([false, false, false]);
    expect(await codeOf(find(child, caller('lead')))).toBe('task_ended');
    expect(await codeOf(open('lead', grandchild))).toBe('task_ended');
  });

  // Session ids are the agent's: each of them was a row.
  it('is the task of a bounded number of sessions', async () => {
    const task = await open('lead');
    const bind = (session: string) => bench.store.tasks.bind(session, task.id);
    for (let n = 0; n < TREE_BOUNDS.sessions; n++) await bind(`session-${n}`);
    expect(await codeOf(bind('one more'))).toBe('task_tree_full');
    expect(await bench.store.tasks.bound('one more')).toBeUndefined();
    await bind('session-0');
    expect(await bench.store.tasks.bound('session-0')).toBe(task.id);
  });
});
