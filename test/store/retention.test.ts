// What ended long ago is deleted, in small batches. Kind: a table that only grows.

import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/domain/log.ts';
import { startRetention } from '../../src/store/retention-sweep.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, decisionOf, GENEROUS, passedCallOf, principalOf, requestOf } from '../support/holds/values.ts';

const DAY = 24 * 60 * 60_000;
const AGENT = principalOf().id;
const words = { objective: 'pay', plan: [], labels: [] };
const call = (at: number) => ({ at, upstream: 'ledger', method: 'GET', path: '/accounts', decision: 'allow' as const });

const bench = useBench();

async function sweep(periods = { holdsMs: 90 * DAY, bodiesMs: 30 * DAY, tasksMs: 90 * DAY }): Promise<unknown[]> {
  const records: unknown[] = [];
  const append = async (_type: string, _time: number, record: unknown) => ({ seq: records.push(record) });
  const retention = startRetention({
    store: bench.store.retention,
    audit: { append },
    clock: bench.clock,
    log: silentLog,
    periods: () => periods,
  });
  await retention.sweep();
  await retention.close();
  return records;
}

async function executed(n: number) {
  const request = { action: actionOf({}, `{"n":${n}}`) };
  const hold = await openHoldBy(bench, request);
  await approve(bench, hold);
  const clearance = await bench.approvals.obtain(requestOf(request));
  await bench.approvals.markSent(clearance);
  await bench.approvals.settle(clearance, { known: true, status: 200 });
  return hold;
}

async function rowsOf(tables: readonly string[]): Promise<number[]> {
  let counts: number[] = [];
  await bench.restart((db) => {
    counts = tables.map((table) => Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n));
  });
  return counts;
}

describe('retention', () => {
  it('deletes bodies of what was sent after their time, and the hold with its votes after its own', async () => {
    const hold = await executed(1);
    bench.clock.advance(30 * DAY - 1);
    expect(await sweep()).toEqual([]);
    expect(await bench.store.holds.content(hold.id)).toBeDefined();
    bench.clock.advance(1);
    expect(await sweep()).toMatchObject([
      { event: 'retention', deleted: { holds: 0, bodies: 1, tasks: 0, others: 0 } },
    ]);
    expect(await bench.store.holds.content(hold.id)).toBeUndefined();
    expect((await bench.store.holds.get(hold.id))?.action.bodyDigest).toBe(hold.action.bodyDigest);
    bench.clock.advance(60 * DAY);
    expect(await sweep()).toMatchObject([{ deleted: { holds: 1, bodies: 0 } }]);
    expect(await bench.store.holds.get(hold.id)).toBeUndefined();
    expect(await rowsOf(['hold', 'held_content', 'vote', 'stored'])).toEqual([0, 0, 0, 0]);
  });

  it('leaves open holds alone, however old, and what they are made of', async () => {
    const hold = await openHoldBy(bench, {
      decision: decisionOf({ requirements: [{ ...decisionOf().requirements[0], decideWithinMs: 400 * DAY } as never] }),
    });
    bench.clock.advance(300 * DAY);
    expect(await sweep()).toEqual([]);
    expect(await bench.store.holds.content(hold.id)).toMatchObject({ bodyText: '{"amount":5}' });
  });

  it('deletes tasks after their end or their last use, with their calls, and not one that a call was made under since', async () => {
    const [ended, idle, used] = [
      await bench.store.tasks.open(AGENT, words, GENEROUS),
      await bench.store.tasks.open(AGENT, words, GENEROUS),
      await bench.store.tasks.open(AGENT, words, GENEROUS),
    ];
    await bench.store.tasks.end(ended.id, AGENT);
    bench.store.tasks.record(idle.id, call(bench.clock.now()));
    bench.clock.advance(50 * DAY);
    bench.store.tasks.record(used.id, call(bench.clock.now()));
    await bench.restart();
    bench.clock.advance(40 * DAY);
    expect(await sweep()).toMatchObject([{ deleted: { tasks: 2 } }]);
    expect(
      await Promise.all([ended, idle, used].map(async ({ id }) => (await bench.store.tasks.get(id)) !== undefined)),
    ).toEqual([false, false, true]);
    expect(await rowsOf(['task', 'task_call'])).toEqual([1, 1]);
  });

  it('deletes passed calls, lifted suspensions and dead notifications, and none that still matter', async () => {
    const passed = passedCallOf(AGENT);
    await bench.store.watch.record(passed, ['soc']);
    const [notice] = await bench.store.notifications.due(10, { ids: [], channels: [] });
    await bench.store.notifications.failed(notice?.id ?? '', 'Never.', undefined);
    const { suspension } = await bench.store.suspensions.suspend({ principal: 'gone' }, { by: 'sam', reason: 'odd' });
    await bench.store.suspensions.suspend({ principal: 'stays' }, { by: 'sam', reason: 'odd' });
    await bench.store.suspensions.lift(suspension.id, 'sam');
    bench.clock.advance(90 * DAY);
    await bench.store.watch.record(passed, []);
    expect(await sweep()).toMatchObject([{ deleted: { holds: 0, bodies: 0, tasks: 0, others: 3 } }]);
    expect(await rowsOf(['passed_call', 'suspension', 'notification'])).toEqual([1, 1, 0]);
    expect(bench.store.suspensions.list()).toMatchObject([{ principal: 'stays' }]);
  });

  it('takes small batches, and other writes come between them', async () => {
    for (let n = 0; n < 350; n++)
      await bench.approvals.cancel((await openHoldBy(bench, { action: actionOf({}, `${n}`) })).id, principalOf());
    bench.clock.advance(91 * DAY);
    const before = { holds: bench.clock.now(), bodies: bench.clock.now(), tasks: bench.clock.now() };
    const counts: number[] = [];
    for (let more = true; more; ) {
      const { holds } = await bench.store.retention.sweep(before);
      counts.push(holds);
      more = holds > 0;
    }
    expect(counts).toEqual([100, 100, 100, 50, 0]);
  });
});
