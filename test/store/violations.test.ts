// Counts of refusals in the store: exact in a window that slides, bounded however many come, there again after a
// restart.

import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { useBench } from '../support/holds/use-bench.ts';

const bench = useBench();
const MINUTE = 60_000;
const counter = { limit: 'deny 5 600000', agentKey: 'agent' };
const notice = { kind: 'violations.reached', subject: 'violations[0]', code: 'abc', tier: 'violations[0]' } as const;
const count = (agentKey = 'agent') => bench.store.violations.count({ ...counter, agentKey }, 10 * MINUTE, 5);

/** The store holds a lock on its file, so it is closed meanwhile. */
async function rows(): Promise<number> {
  const { path, clock } = bench;
  await bench.close();
  const db = new DatabaseSync(path, { readOnly: true });
  const found = db.prepare('SELECT count(*) AS n FROM violation').get();
  db.close();
  bench.openFile(path, clock);
  return Number(found?.n);
}

it('forgets each refusal when the window has slid past it', async () => {
  expect(await count()).toBe(1);
  bench.clock.advance(6 * MINUTE);
  expect(await count()).toBe(2);
  bench.clock.advance(4 * MINUTE);
  expect(await count()).toBe(2);
  bench.clock.advance(11 * MINUTE);
  expect(await count()).toBe(1);
});

it('counts on after a restart, for each agent by itself', async () => {
  await Promise.all([count(), count(), count('other')]);
  await bench.restart();
  expect([await count(), await count('other')]).toEqual([3, 2]);
});

// Kind: what an agent causes in number grows what is kept.
it('keeps no more rows than the limit needs, after ten thousand refusals at once', async () => {
  await Promise.all(Array.from({ length: 10_000 }, () => count()));
  expect(await count()).toBe(5);
  expect(await rows()).toBe(5);
});

it('deletes rows of agents that are not heard of again', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, index) => count(`agent-${index}`)));
  bench.clock.advance(11 * MINUTE);
  for (let more = 0; more < 13; more++) await count();
  expect(await rows()).toBe(5);
});

it('begins anew after a reset, and tells a channel once a minute', async () => {
  for (let time = 0; time < 3; time++) {
    await count();
    await bench.store.violations.reset(counter, notice, ['soc']);
  }
  expect(await count()).toBe(1);
  const told = await bench.store.notifications.list({});
  expect(told.map(({ kind, count: times }) => [kind, times])).toEqual([
    ['violations.reached', 2],
    ['violations.reached', undefined],
  ]);
});
