// What one agent may have in the store. Kind: a store without bounds, filled by calls that nobody refuses; what ended
// and is kept counts too.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { advance } from '../../src/approvals/machine.ts';
import type { PendingHold } from '../../src/domain/hold.ts';
import { GatewayError } from '../../src/errors.ts';
import { type Bench, openBench, openHoldBy } from '../support/holds/bench.ts';
import { actionOf, GENEROUS, principalOf, requestOf, reviewerOf } from '../support/holds/values.ts';

const AGENT = principalOf().id;
const OTHER = principalOf({ id: 'spiffe://prod.example.org/other' });
const words = { objective: 'o'.repeat(1_000), plan: [], labels: [] };
const HOUR = 60 * 60_000;

let bench: Bench;
let limits: typeof GENEROUS;
beforeEach(() => {
  limits = GENEROUS;
  bench = openBench({ limits: () => limits });
});
afterEach(() => bench.close());

const actionNumber = (n: number, size = 0) => actionOf({}, JSON.stringify({ n, memo: 'm'.repeat(size) }));
async function refusal(promise: Promise<unknown>): Promise<readonly [string, number | undefined]> {
  const thrown = await promise.then(() => undefined).catch((error: unknown) => error);
  if (!(thrown instanceof GatewayError)) throw new Error(`not refused: ${thrown}`);
  return [thrown.code, thrown.details.retryAfter];
}

describe('holds within an hour', () => {
  it.each([
    ['cancelled', (id: string) => bench.approvals.cancel(id, principalOf())],
    [
      'denied',
      async (id: string) => {
        const hold = await bench.store.holds.get(id);
        await bench.approvals.vote(id, reviewerOf('alice'), {
          decision: 'deny',
          bindingDigest: hold?.bindingDigest ?? '',
        });
      },
    ],
    ['left to wait', async () => {}],
  ])('are counted when they were %s, told with the time to come back, and free again after it', async (_what, end) => {
    limits = { ...GENEROUS, holdsPerHourPerAgent: 3 };
    for (let n = 0; n < 3; n++) {
      await end((await openHoldBy(bench, { action: actionNumber(n) })).id);
      bench.clock.advance(60_000);
    }
    expect(await refusal(bench.approvals.obtain(requestOf({ action: actionNumber(3) })))).toEqual([
      'too_many_holds',
      (HOUR - 3 * 60_000) / 1_000,
    ]);
    await openHoldBy(bench, { principal: OTHER, action: actionNumber(3) });
    bench.clock.advance(HOUR - 3 * 60_000);
    await openHoldBy(bench, { action: actionNumber(3) });
    expect((await refusal(bench.approvals.obtain(requestOf({ action: actionNumber(4) }))))[0]).toBe('too_many_holds');
  });

  it('do not keep an agent from coming back for a hold that it has', async () => {
    limits = { ...GENEROUS, holdsPerHourPerAgent: 1, storedBytesPerAgent: 1 };
    limits = GENEROUS;
    const { id } = await openHoldBy(bench);
    limits = { ...GENEROUS, holdsPerHourPerAgent: 1, storedBytesPerAgent: 1 };
    expect((await openHoldBy(bench)).id).toBe(id);
  });

  it('do not grow when the same request is cancelled and sent again: what is shown to an admission is bounded', async () => {
    for (let n = 0; n < 150; n++)
      await bench.approvals.cancel((await openHoldBy(bench, { idempotencyKey: `k${n}` })).id, principalOf());
    const { requestDigest } = await openHoldBy(bench);
    const shown = await bench.store.holds.admit({ principalId: AGENT, agentKey: AGENT, requestDigest }, (known) => ({
      answer: known.length,
    }));
    expect(shown).toBe(64);
  });

  it('never make a denial forgotten: it stands beside whatever came after it', async () => {
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    const opened = (await openHoldBy(bench, { task })) as PendingHold;
    await bench.approvals.vote(opened.id, reviewerOf('alice'), {
      decision: 'deny',
      bindingDigest: opened.bindingDigest,
    });
    for (let n = 0; n < 70; n++) {
      const hold = { ...opened, id: `hold_${n}`, nonce: `${n}` };
      await bench.store.holds.admit(
        { principalId: AGENT, agentKey: AGENT, requestDigest: opened.requestDigest },
        () => ({
          opened: { hold, content: {}, reserves: [] },
          answer: undefined,
        }),
      );
      await bench.store.holds.change(hold.id, (seen, now) => ({
        next: advance(seen, { type: 'cancel' }, now),
        answer: undefined,
      }));
    }
    expect((await refusal(bench.approvals.obtain(requestOf({ task }))))[0]).toBe('approval_denied');
  });
});

describe('pending holds', () => {
  it('are those whose deadline has not come, whether or not anybody has looked since', async () => {
    limits = { ...GENEROUS, pendingPerAgent: 1 };
    const { deadline } = await openHoldBy(bench, { action: actionNumber(1) });
    bench.clock.advance(deadline - bench.clock.now() - 1);
    const next = () => bench.approvals.obtain(requestOf({ action: actionNumber(2) }));
    expect(await refusal(next())).toEqual(['too_many_pending', 30]);
    bench.clock.advance(1);
    expect((await refusal(next()))[0]).toBe('approval_pending');
  });
});

describe('open tasks', () => {
  it('are bounded, and ending one makes room; other agents have their own', async () => {
    limits = { ...GENEROUS, openTasksPerAgent: 2 };
    const first = await bench.store.tasks.open(AGENT, words, limits);
    await bench.store.tasks.open(AGENT, words, limits);
    expect(await refusal(bench.store.tasks.open(AGENT, words, limits))).toEqual(['too_many_tasks', 30]);
    await bench.store.tasks.open(OTHER.id, words, limits);
    await bench.store.tasks.end(first.id, AGENT);
    await bench.store.tasks.open(AGENT, words, limits);
  });
});

describe('bytes in the store', () => {
  const bytes = (agent = AGENT) => bench.store.tasks.storedBytes(agent);

  it('count bodies, records, tasks and their calls, go down when a body is dropped, and are the same after a restart', async () => {
    const hold = await openHoldBy(bench, { action: actionNumber(1, 50_000) });
    const withBody = await bytes();
    expect(withBody).toBeGreaterThan(50_000);
    await bench.approvals.cancel(hold.id, principalOf());
    expect(await bytes()).toBeLessThan(withBody - 49_000);
    const before = await bytes();
    const task = await bench.store.tasks.open(AGENT, words, GENEROUS);
    expect(await bytes()).toBeGreaterThan(before + 1_000);
    for (let n = 0; n < 5; n++) {
      bench.store.tasks.record(task.id, {
        at: bench.clock.now(),
        upstream: 'ledger',
        method: 'GET',
        path: `/${'p'.repeat(9_000)}`,
        decision: 'allow',
      });
    }
    await bench.restart();
    expect(await bytes()).toBeGreaterThan(before + 46_000);
    expect(await bytes(OTHER.id)).toBe(0);
  });

  it.each([
    ['a hold', () => bench.approvals.obtain(requestOf({ action: actionNumber(2) }))],
    ['a task', () => bench.store.tasks.open(AGENT, words, limits)],
  ])('refuse %s when there are too many, with the time to come back', async (_what, one) => {
    await openHoldBy(bench, { action: actionNumber(1, 50_000) });
    limits = { ...GENEROUS, storedBytesPerAgent: 40_000 };
    expect(await refusal(one())).toEqual(['too_much_stored', 3_600]);
    await openHoldBy(bench, { principal: OTHER });
  });
});
