// The outbox and what it tells of are one transaction: never one without the other, whatever throws or crashes in
// between.

import { expect, it } from 'vitest';
import { advance } from '../../src/approvals/machine.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, decisionOf, passedCallOf, reviewerOf } from '../support/holds/values.ts';

const bench = useBench();

const decision = decisionOf({ notify: ['soc', 'team'] });
const NOBODY = { ids: [], channels: [] };
const outbox = () => bench.store.notifications;

it('holds one row per channel for a new hold, and none for a vote on it', async () => {
  const hold = await openHoldBy(bench, { decision });
  await approve(bench, hold);
  const rows = await outbox().list({});
  expect(rows.map(({ channel, kind, subject, code, tier }) => [channel, kind, subject, code, tier])).toEqual([
    ['team', 'hold.opened', hold.id, hold.bindingDigest.slice(0, 6), 'finance'],
    ['soc', 'hold.opened', hold.id, hold.bindingDigest.slice(0, 6), 'finance'],
  ]);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(2);
});

it('has nothing of a change that was rolled back', async () => {
  const hold = await openHoldBy(bench, { decision });
  const before = (await outbox().list({})).length;
  const change = bench.store.holds.change(hold.id, (seen) => ({
    next: { ...seen, escalations: 1, deadline: seen.deadline + 1 },
    answer: undefined,
  }));
  await expect(change).rejects.toThrow(/never changes its deadline/);
  expect((await outbox().list({})).length).toBe(before);
});

it('tells of an outcome that nobody knows', async () => {
  const hold = await openHoldBy(bench, { decision });
  await approve(bench, hold);
  await bench.store.holds.change(hold.id, (seen, now) => ({
    next: advance(seen, { type: 'claim', claim: 'c', claimedBy: 'dead' }, now),
    answer: undefined,
  }));
  await bench.store.holds.change(hold.id, (seen, now) => ({
    next: advance(seen, { type: 'send', claim: 'c' }, now),
    answer: undefined,
  }));
  await bench.restart();
  await bench.approvals.start();
  expect((await outbox().list({})).map(({ kind }) => kind).slice(0, 2)).toEqual([
    'hold.outcome_unknown',
    'hold.outcome_unknown',
  ]);
});

it('gives what is due in order, keeps what failed until its time, and forgets what was delivered after a week', async () => {
  await openHoldBy(bench, { decision });
  const [first, second] = await outbox().due(10, NOBODY);
  if (first === undefined || second === undefined) throw new Error('two rows are due');
  expect([first.channel, second.channel]).toEqual(['soc', 'team']);
  expect(await outbox().due(10, { ids: [first.id], channels: [] })).toEqual([second]);
  expect(await outbox().due(10, { ids: [], channels: ['soc'] })).toEqual([second]);
  await outbox().failed(first.id, 'No.', bench.clock.now() + 1_000);
  await outbox().delivered(second.id);
  expect(await outbox().due(10, NOBODY)).toEqual([]);
  bench.clock.advance(1_000);
  expect(await outbox().due(10, NOBODY)).toMatchObject([{ id: first.id, attempts: 1, lastError: 'No.' }]);
  await outbox().failed(first.id, 'Never.', undefined);
  expect(await outbox().list({ state: 'DEAD' })).toMatchObject([{ id: first.id, attempts: 2, lastError: 'Never.' }]);
  bench.clock.advance(8 * 24 * 60 * 60_000);
  await outbox().delivered((await outbox().revive(first.id)).id);
  expect((await outbox().list({})).map(({ id }) => id)).toEqual([first.id]);
});

it('says how often calls of the same kind were approved and denied, without the hold itself', async () => {
  for (const amount of [1, 2, 3]) {
    const { bytes, digest } = { bytes: Buffer.from(`{"amount":${amount}}`), digest: `${amount}`.repeat(64) };
    const hold = await openHoldBy(bench, { action: { ...actionOf(), body: { bytes, digest } } });
    await approve(bench, hold, reviewerOf('alice'));
  }
  const hold = await openHoldBy(bench);
  const since = bench.clock.now() - 1;
  expect(await bench.store.holds.similar(hold, since)).toEqual({ approvedTimes: 3, deniedTimes: 0, since });
  expect(await bench.store.holds.similar(hold, bench.clock.now() + 1)).toMatchObject({ approvedTimes: 0 });
});

it('measures how a reviewer decides from the moment when they opened the hold', async () => {
  const alice = reviewerOf('alice');
  const hold = await openHoldBy(bench);
  bench.clock.advance(60_000);
  bench.approvals.opened(hold.id, alice);
  bench.clock.advance(2_000);
  bench.approvals.opened(hold.id, alice);
  await approve(bench, hold, alice);
  expect(await bench.store.holds.voteTimes(alice.id, 0)).toEqual({ decisions: 1, medianSeconds: 2, tooFast: 1 });
  await bench.restart();
  expect(await bench.store.holds.voteTimes(alice.id, 0)).toMatchObject({ decisions: 1 });
  expect(await bench.store.holds.voteTimes(alice.id, bench.clock.now() + 1)).toEqual({ decisions: 0, tooFast: 0 });
});

// Kind: one agent's flood that hides from people what waits for them.
it('gives notices of holds before any of passed calls, and tells of a flood of those once a minute', async () => {
  const passed = passedCallOf('a');
  for (let n = 0; n < 500; n++)
    await bench.store.watch.record({ ...passed, principalId: `agent-${n % 3}` }, ['soc', 'team']);
  const hold = await openHoldBy(bench, { decision: decisionOf({ notify: ['soc'] }) });
  const first = await outbox().due(100, NOBODY);
  expect(first.map(({ kind, channel, count }) => [kind, channel, count])).toEqual([
    ['hold.opened', 'soc', undefined],
    ['call.passed', 'soc', undefined],
    ['call.passed', 'team', undefined],
  ]);
  expect(first[0]?.subject).toBe(hold.id);
  for (const { id } of first) await outbox().delivered(id);
  bench.clock.advance(59_999);
  expect(await outbox().due(100, NOBODY)).toEqual([]);
  bench.clock.advance(1);
  const digests = await outbox().due(100, NOBODY);
  expect(digests.map(({ kind, count }) => [kind, count])).toEqual([
    ['call.passed', 499],
    ['call.passed', 499],
  ]);
  // What is being told now does not change under the receiver's hands: what comes meanwhile waits for the next minute.
  await bench.store.watch.record(passed, ['soc']);
  expect(await outbox().due(100, NOBODY)).toEqual(digests);
  bench.clock.advance(60_000);
  expect((await outbox().due(100, NOBODY)).map(({ channel, count }) => [channel, count])).toEqual([
    ['soc', 499],
    ['team', 499],
    ['soc', undefined],
  ]);
  expect(await outbox().list({ limit: 200 })).toHaveLength(6);
});

it('does not put off the next notice of a passed call because the last one could not be delivered', async () => {
  const passed = passedCallOf('a');
  await bench.store.watch.record(passed, ['soc']);
  const [first] = await outbox().due(10, NOBODY);
  await outbox().failed(first?.id ?? '', 'No.', bench.clock.now() + 7_200_000);
  await bench.store.watch.record(passed, ['soc']);
  bench.clock.advance(60_000);
  expect(await outbox().due(10, NOBODY)).toHaveLength(1);
});

it('keeps what others did on the list of passed calls while one agent floods it', async () => {
  const passed = {
    onBehalfOf: [],
    upstream: 'ledger',
    method: 'GET',
    path: '/',
    actionDigest: 'd'.repeat(64),
    rules: ['r'],
  };
  await bench.store.watch.record({ ...passed, principalId: 'quiet' }, []);
  await Promise.all(
    Array.from({ length: 1_100 }, () => bench.store.watch.record({ ...passed, principalId: 'loud' }, [])),
  );
  const all: string[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const page = await bench.store.watch.list({ limit: 200, ...(after !== undefined && { after }) });
    all.push(...page.passed.map(({ principalId }) => principalId));
    after = page.next;
    more = after !== undefined;
  }
  expect([all.length, all.at(-1)]).toEqual([1_001, 'quiet']);
});
