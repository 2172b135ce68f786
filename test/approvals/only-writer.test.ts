// The state machine is the only writer of hold states. Kind: a second place that knows what states follow on which.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, GENEROUS, principalOf } from '../support/holds/values.ts';

/** As a value: types name states too. */
const WRITES =
  /(?<!readonly )\bstate: '(?:PENDING|APPROVED|RELEASING|SENT|EXECUTED|UPSTREAM_ERROR|OUTCOME_UNKNOWN|DENIED|EXPIRED|CANCELLED|REVOKED|INVALIDATED)'/;

it('is the one file that writes a state', () => {
  const src = join(import.meta.dirname, '../../src');
  const files = readdirSync(src, { recursive: true, withFileTypes: true }).filter(({ name }) => name.endsWith('.ts'));
  const writers = files
    .filter(({ parentPath, name }) => WRITES.test(readFileSync(join(parentPath, name), 'utf8')))
    .map(({ name }) => name);
  expect(writers.sort()).toEqual(['machine.ts']);
});

describe('a hold that is ended from outside', () => {
  const bench = useBench();
  const words = { objective: 'pay', plan: [], labels: [] };
  const openTask = () => bench.store.tasks.open(principalOf().id, words, GENEROUS);

  it.each([
    [
      'a revision of its task',
      'INVALIDATED',
      (task: string) => bench.store.tasks.revise(task, principalOf().id, words),
    ],
    ['the end of its task', 'REVOKED', (task: string) => bench.store.tasks.end(task, principalOf().id)],
    ['a person who ends its task', 'REVOKED', (task: string) => bench.store.tasks.revoke(task, 'odd')],
    [
      'a suspension of its agent',
      'REVOKED',
      () => bench.store.suspensions.suspend({ principal: principalOf().id }, { by: 'sam', reason: 'odd' }),
    ],
    [
      'a suspension of its task',
      'REVOKED',
      (task: string) => bench.store.suspensions.suspend({ task }, { by: 'sam', reason: 'odd' }),
    ],
  ])('by %s becomes %s, or stays EXPIRED where its clock had run out before', async (_what, state, end) => {
    const task = await openTask();
    const first = await openHoldBy(bench, { task });
    const second = await openHoldBy(bench, { task, action: actionOf({}, '{"amount":6}') });
    await approve(bench, second);
    // The approval has run out, and nobody has looked; the other still waits.
    bench.clock.advance(3 * 60_000);
    await end(task.id);
    const endedAt = bench.clock.now();
    expect(await bench.store.holds.get(first.id)).toMatchObject({ state, endedAt });
    expect(await bench.store.holds.get(second.id)).toMatchObject({ state: 'EXPIRED', expiryReason: 'unused', endedAt });
  });

  it('counts as revoked by a suspension only where it was', async () => {
    await openHoldBy(bench);
    bench.clock.advance(20 * 60_000);
    expect(
      await bench.store.suspensions.suspend({ principal: principalOf().id }, { by: 'sam', reason: 'odd' }),
    ).toMatchObject({
      revoked: 0,
    });
  });
});
