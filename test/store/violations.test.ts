// Counts of refusals in the store: exact in a window that slides, bounded however many come, there again after a
// restart.

import { cpSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { useBench } from '../support/holds/use-bench.ts';

const bench = useBench();
const MINUTE = 60_000;
const counter = { limit: 'deny 5 600000', agentKey: 'agent' };
const notice = { kind: 'violations.reached', subject: 'violations[0]', code: 'abc', tier: 'violations[0]' } as const;
const count = (agentKey = 'agent') => bench.store.violations.count({ ...counter, agentKey }, 10 * MINUTE, 5);

/** Of a copy: the store holds a lock on its own file. */
function rows(): number {
  const copy = `${bench.path}.copy`;
  for (const part of ['', '-wal']) cpSync(`${bench.path}${part}`, `${copy}${part}`);
  const db = new DatabaseSync(copy);
  const found = db.prepare('SELECT count(*) AS n FROM violation').get();
  db.close();
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
  expect(rows()).toBe(5);
});

it('deletes rows of agents that are not heard of again', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, index) => count(`agent-${index}`)));
  bench.clock.advance(11 * MINUTE);
  for (let more = 0; more < 13; more++) await count();
  expect(rows()).toBe(5);
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
