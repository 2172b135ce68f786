// How holds end: denied, run out, taken back, or sent with a known or an unknown outcome. Each ending is told and
// recorded once, and what the store holds is taken up again after a restart.

import { describe, expect, it } from 'vitest';
import { createApprovals } from '../../src/approvals/approvals.ts';
import type { Hold } from '../../src/domain/hold.ts';
import type { HoldStore } from '../../src/domain/hold-store.ts';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { approve, deny, openHoldBy, waiting } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { decisionOf, principalOf, requestOf, requirementOf, reviewerOf } from '../support/holds/values.ts';
import { taskOf } from '../support/tasks.ts';

const bench = useBench();

describe('endings', () => {
  it('tells a waiting agent of the denial, and refuses the identical request without asking anyone, whatever its Idempotency-Key', async () => {
    const task = taskOf();
    const { hold, result } = await waiting(bench, { task });
    await deny(bench, hold);
    expect(await codeOf(result)).toBe('approval_denied');
    bench.clock.advance(7 * 24 * 3_600_000);
    expect(await codeOf(bench.approvals.obtain(requestOf({ task, idempotencyKey: 'fresh' })))).toBe('approval_denied');
    expect(await codeOf(bench.approvals.obtain(requestOf({ task: { ...task, revision: 2 } })))).toBe('approval_denied');
    expect(await codeOf(bench.approvals.obtain(requestOf({ task: { ...task, id: 'task_2' } })))).toBe(
      'approval_pending',
    );
  });

  it('lets a denial without a task stand for an hour', async () => {
    await deny(bench, await openHoldBy(bench));
    bench.clock.advance(3_599_999);
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_denied');
    bench.clock.advance(1);
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
  });

  it('expires what nobody decided, wakes its waiter, and asks anew on the next request', async () => {
    const { hold, result } = await waiting(bench);
    bench.clock.advance(15 * 60_000);
    await bench.approvals.sweep();
    expect(await codeOf(result)).toBe('approval_expired');
    expect(await bench.store.holds.get(hold.id)).toMatchObject({
      state: 'EXPIRED',
      expiryReason: 'undecided',
      reportedAt: bench.clock.now(),
    });
    expect((await openHoldBy(bench)).id).not.toBe(hold.id);
  });

  it.each([
    ['undecided', 'approval_expired', 15 * 60_000, async () => {}],
    ['unused', 'approval_unused', 2 * 60_000, async (hold: Hold) => void (await approve(bench, hold))],
  ] as const)('answers an %s hold once with %s although no sweep has run', async (expiryReason, code, ms, prepare) => {
    const hold = await openHoldBy(bench);
    await prepare(hold);
    bench.clock.advance(ms);
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe(code);
    expect(await bench.store.holds.get(hold.id)).toMatchObject({ state: 'EXPIRED', expiryReason });
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
  });

  it('does not release an approval whose time runs out during the second judgement', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    const base = requestOf();
    const slow = requestOf({
      rejudge: (approval) => {
        bench.clock.advance(2 * 60_000);
        return base.rejudge(approval);
      },
    });
    expect(await codeOf(bench.approvals.obtain(slow))).toBe('approval_unused');
  });

  it('answers a cancelled and a revoked hold once with approval_revoked', async () => {
    const cancelled = await openHoldBy(bench);
    await bench.approvals.cancel(cancelled.id, principalOf());
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_revoked');
    const revoked = await openHoldBy(bench);
    await approve(bench, revoked);
    await bench.approvals.revoke(revoked.id, reviewerOf('alice'), 'on second thought');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_revoked');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
  });

  it('counts and records every ending once', async () => {
    const { hold, result } = await waiting(bench);
    await deny(bench, hold);
    await result.catch(() => {});
    await bench.approvals.obtain(requestOf()).catch(() => {});
    expect(bench.ended).toEqual(['DENIED']);
    expect(bench.audit.filter(({ type, record }) => type === 'hold' && record.state === 'DENIED')).toHaveLength(1);
  });
});

describe('after the claim', () => {
  const cleared = async (options: Parameters<typeof requestOf>[0] = {}) => {
    await approve(bench, await openHoldBy(bench, options));
    return bench.approvals.obtain(requestOf(options));
  };

  it('records SENT before, and the outcome after, and then takes the same request for a new one', async () => {
    const clearance = await cleared();
    await bench.approvals.markSent(clearance);
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('already_sent');
    expect(await bench.approvals.settle(clearance, { known: true, status: 201 })).toMatchObject({
      state: 'EXECUTED',
      outcomeStatus: 201,
    });
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
  });

  it('answers a re-used Idempotency-Key with the recorded outcome, for ever', async () => {
    const clearance = await cleared({ idempotencyKey: 'k' });
    await bench.approvals.markSent(clearance);
    await bench.approvals.settle(clearance, { known: true, status: 503 });
    const error = await bench.approvals.obtain(requestOf({ idempotencyKey: 'k' })).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'already_sent',
      details: { members: { outcome: 'UPSTREAM_ERROR', outcomeStatus: 503 } },
    });
  });

  it('expires a claim that was never sent', async () => {
    const clearance = await cleared();
    expect(await bench.approvals.settle(clearance, 'not_sent')).toMatchObject({
      state: 'EXPIRED',
      expiryReason: 'abandoned',
    });
    expect(await codeOf(bench.approvals.markSent(clearance))).toBe('hold_closed');
  });

  it('refuses to mark a call as sent twice', async () => {
    const clearance = await cleared();
    await bench.approvals.markSent(clearance);
    expect(await codeOf(bench.approvals.markSent(clearance))).toBe('hold_closed');
  });

  it('raises an alert for an unknown outcome and says so once to an agent without an Idempotency-Key', async () => {
    const clearance = await cleared();
    await bench.approvals.markSent(clearance);
    await bench.approvals.settle(clearance, { known: false });
    expect(bench.errors).toContain('hold.outcome_unknown');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('outcome_unknown');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
  });

  it('never throws from settle, even when the store is gone', async () => {
    const clearance = await cleared();
    await bench.approvals.markSent(clearance);
    await bench.store.close();
    expect(await bench.approvals.settle(clearance, { known: true, status: 200 })).toBeUndefined();
  });
});

describe('the clockwork', () => {
  it('ends what runs out by itself once it is started', async () => {
    await bench.approvals.start();
    const { result } = await waiting(bench);
    bench.clock.advance(15 * 60_000);
    expect(await codeOf(result)).toBe('approval_expired');
  });

  it('finds holds, votes and approvals again after a restart', async () => {
    const decision = decisionOf({ requirements: [requirementOf({ count: 2 })] });
    const hold = await openHoldBy(bench, { decision });
    await approve(bench, hold);
    await bench.restart();
    await bench.approvals.start();
    expect(await codeOf(approve(bench, hold))).toBe('already_voted');
    expect((await approve(bench, hold, reviewerOf('bob'))).state).toBe('APPROVED');
    await bench.restart();
    await bench.approvals.start();
    expect(await bench.approvals.obtain(requestOf({ decision }))).toMatchObject({
      kind: 'released',
      hold: { id: hold.id, claimedBy: 'instance-3' },
    });
  });

  it('leaves its own claims alone when it starts', async () => {
    await approve(bench, await openHoldBy(bench));
    const clearance = await bench.approvals.obtain(requestOf());
    await bench.approvals.start();
    await bench.approvals.markSent(clearance);
  });

  it('keeps an outcome that the store would not take, and records it with the next sweep', async () => {
    await approve(bench, await openHoldBy(bench));
    const { holds } = bench.store;
    let broken = false;
    const flaky: HoldStore = {
      ...holds,
      change: (id, step) =>
        broken ? Promise.reject(new GatewayError('store_unavailable', 'The disk is gone.')) : holds.change(id, step),
    };
    const approvals = createApprovals({ ...bench.options, store: flaky });
    const clearance = await approvals.obtain(requestOf());
    await approvals.markSent(clearance);
    broken = true;
    expect(await approvals.settle(clearance, { known: true, status: 201 })).toBeUndefined();
    await approvals.sweep();
    broken = false;
    await approvals.sweep();
    expect((await holds.list({ states: ['EXECUTED'] })).holds).toMatchObject([{ outcomeStatus: 201 }]);
    approvals.close();
  });

  it('refuses calls once it is closed', async () => {
    bench.approvals.close();
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('draining');
  });
});

// Once an agent that sent an Idempotency-Key again was told here that not a byte had reached the upstream.
it('never says of an unknown outcome that nothing was sent, whatever Idempotency-Key the request has', async () => {
  const request = requestOf({ idempotencyKey: 'k' });
  await approve(bench, await openHoldBy(bench, { idempotencyKey: 'k' }));
  const clearance = await bench.approvals.obtain(request);
  await bench.approvals.markSent(clearance);
  await bench.approvals.settle(clearance, { known: false });
  await expect(bench.approvals.obtain(request)).rejects.toMatchObject({
    code: 'already_sent',
    message: expect.stringContaining('not known'),
    details: { executed: 'maybe', members: { outcome: 'OUTCOME_UNKNOWN' } },
  });
});
