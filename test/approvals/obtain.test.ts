// Which call a hold is for, who may wait for it, and what must still be true when its approval is used: `obtain`, over
// a real store.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { approve, deny, openHoldBy, waiting } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import {
  actionOf,
  decisionOf,
  GENEROUS,
  principalOf,
  requestOf,
  requirementOf,
  reviewerOf,
} from '../support/holds/values.ts';
import { taskOf } from '../support/tasks.ts';

const bench = useBench();

const stateOf = async (hold: Hold) => (await bench.store.holds.get(hold.id))?.state;

describe('opening and attaching', () => {
  it('answers pending at once when the request may not wait, with the hold durable and recorded before', async () => {
    const error = await bench.approvals.obtain(requestOf()).catch((thrown: unknown) => thrown as GatewayError);
    expect(error).toMatchObject({
      code: 'approval_pending',
      details: { holdId: expect.stringMatching(/^hold_[\w-]{22}$/), retryAfter: expect.any(Number) },
    });
    expect(bench.audit).toMatchObject([{ type: 'hold', record: { state: 'PENDING' } }]);
  });

  it('attaches the identical request to the same hold', async () => {
    const [first, second] = [await openHoldBy(bench), await openHoldBy(bench)];
    expect(second.id).toBe(first.id);
  });

  it('opens one hold for a hundred identical requests at once', async () => {
    const holds = await Promise.all(Array.from({ length: 100 }, () => openHoldBy(bench)));
    expect(new Set(holds.map((hold) => hold.id)).size).toBe(1);
  });

  it.each([
    ['another body', { action: actionOf({}, '{"amount":6}') }],
    ['another target', { action: actionOf({ target: '/transfers?x=1' }) }],
    ['another bound header', { action: actionOf({ boundHeaders: ['accept', 'text/plain'] }) }],
    ['another agent', { principal: principalOf({ id: 'spiffe://prod.example.org/other' }) }],
    ['another key of the agent', { principal: principalOf({ keyThumbprint: 'k2' }) }],
    [
      'another user behind the agent',
      { principal: principalOf({ onBehalfOf: [{ id: 'i#eve', issuer: 'i', subject: 'eve' }] }) },
    ],
    ['another Idempotency-Key', { idempotencyKey: 'k' }],
  ])('opens a hold of its own for %s', async (_, other) => {
    expect((await openHoldBy(bench, other)).id).not.toBe((await openHoldBy(bench)).id);
  });

  it('refuses an Idempotency-Key that came with another request, even after that one ended', async () => {
    const hold = await openHoldBy(bench, { idempotencyKey: 'k' });
    await bench.approvals.cancel(hold.id, principalOf());
    expect(await codeOf(bench.approvals.obtain(requestOf({ idempotencyKey: 'k', action: actionOf({}, '{}') })))).toBe(
      'idempotency_key_reused',
    );
  });

  it('refuses more pending holds of one agent than are allowed, and no other agent’s', async () => {
    await bench.renew({ limits: () => ({ ...GENEROUS, pendingPerAgent: 2 }) });
    await openHoldBy(bench, { action: actionOf({}, '1') });
    await openHoldBy(bench, { action: actionOf({}, '2') });
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('too_many_pending');
    await openHoldBy(bench, { principal: principalOf({ id: 'spiffe://prod.example.org/other' }) });
  });

  it('refuses a body that is not UTF-8 and opens nothing', async () => {
    const bytes = Uint8Array.of(0x7b, 0xff, 0x7d);
    const action = actionOf({ body: { bytes, digest: sha256(bytes) } });
    expect(await codeOf(bench.approvals.obtain(requestOf({ action })))).toBe('unsupported_media_type');
    expect((await bench.store.holds.list({})).holds).toHaveLength(0);
  });

  it('stores the whole body, byte order mark and all', async () => {
    const text = `\uFEFF${'é'.repeat(40_000)}tail`;
    const hold = await openHoldBy(bench, { action: actionOf({}, text) });
    expect(hold.action.bodyLength).toBe(Buffer.byteLength(text));
    expect(await bench.store.holds.content(hold.id)).toMatchObject({ bodyText: text });
  });

  it('ends a hold that could not be recorded, so that nobody can approve it, and opens another on retry', async () => {
    bench.onAppend(() => {
      throw new GatewayError('audit_unavailable', 'The disk is full.');
    });
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('audit_unavailable');
    const [lost] = (await bench.store.holds.list({})).holds;
    expect(lost?.state).toBe('INVALIDATED');
    bench.onAppend(() => {});
    expect((await openHoldBy(bench)).id).not.toBe(lost?.id);
  });
});

describe('waiting and releasing', () => {
  it('clears exactly the held call once it is approved while waiting', async () => {
    const { hold, result } = await waiting(bench);
    await approve(bench, hold);
    expect(await result).toMatchObject({
      kind: 'released',
      hold: { id: hold.id, state: 'RELEASING', claimedBy: 'instance-1' },
    });
    expect(bench.approvals.waiting).toBe(0);
  });

  it('clears the identical request that is sent again after the approval', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    expect(await bench.approvals.obtain(requestOf())).toMatchObject({ kind: 'released', hold: { id: hold.id } });
  });

  it('gives exactly one clearance to a hundred requests racing one approval', async () => {
    const hold = await openHoldBy(bench);
    const early = await Promise.all(Array.from({ length: 50 }, () => waiting(bench)));
    await approve(bench, hold);
    const late = Array.from({ length: 50 }, () => bench.approvals.obtain(requestOf({ waitMs: 60_000 })));
    const codes = await Promise.all([...early.map(({ result }) => result), ...late].map(codeOf));
    expect(codes.filter((code) => code === 'resolved')).toHaveLength(1);
    expect(codes.filter((code) => code === 'already_sent')).toHaveLength(99);
  });

  it('leaves the hold when its agent goes away, and does not claim for nobody', async () => {
    let leave = () => {};
    const { hold, result } = await waiting(bench, {
      onClosed(callback) {
        leave = callback;
        return () => {};
      },
    });
    leave();
    expect(await codeOf(result)).toBe('client_closed');
    expect(bench.approvals.waiting).toBe(0);
    await approve(bench, hold);
    expect(await stateOf(hold)).toBe('APPROVED');
  });

  it('does not claim when the agent goes away during the second judgement', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    const callbacks = new Set<() => void>();
    const base = requestOf();
    const request = requestOf({
      onClosed(callback) {
        callbacks.add(callback);
        return () => callbacks.delete(callback);
      },
      rejudge: async (approval) => {
        for (const callback of callbacks) callback();
        return base.rejudge(approval);
      },
    });
    expect(await codeOf(bench.approvals.obtain(request))).toBe('client_closed');
    expect(await stateOf(hold)).toBe('APPROVED');
    expect(callbacks.size).toBe(0);
  });

  it('ends every wait with pending when the gateway drains, and keeps the holds', async () => {
    const { hold, result } = await waiting(bench);
    bench.approvals.drain();
    expect(await codeOf(result)).toBe('approval_pending');
    expect(await codeOf(bench.approvals.obtain(requestOf({ waitMs: 60_000 })))).toBe('approval_pending');
    expect(await stateOf(hold)).toBe('PENDING');
  });

  it('answers pending when the wait is over', async () => {
    expect(await codeOf(bench.approvals.obtain(requestOf({ waitMs: 5 })))).toBe('approval_pending');
  });

  it('waits on while a quorum of two has one vote', async () => {
    const decision = decisionOf({ requirements: [requirementOf({ count: 2 })] });
    const { hold, result } = await waiting(bench, { decision });
    expect((await approve(bench, hold)).state).toBe('PENDING');
    expect(bench.approvals.waiting).toBe(1);
    await approve(bench, hold, reviewerOf('bob'));
    expect(await result).toMatchObject({ kind: 'released', hold: { votes: [{}, {}] } });
  });

  it('releases two thousand waiting calls, each by its own approval', async () => {
    const calls = await Promise.all(
      Array.from({ length: 2_000 }, (_, i) => waiting(bench, { action: actionOf({}, String(i)) })),
    );
    expect(bench.approvals.waiting).toBe(2_000);
    await Promise.all(calls.map(({ hold }) => approve(bench, hold)));
    const cleared = await Promise.all(calls.map(({ result }) => result));
    expect(cleared.map((clearance) => clearance.kind === 'released' && clearance.hold.id)).toEqual(
      calls.map(({ hold }) => hold.id),
    );
    expect(bench.approvals.waiting).toBe(0);
    expect(await bench.store.holds.counts()).toEqual({ RELEASING: 2_000 });
  });
});

describe('what changed since the approval', () => {
  const base = requestOf();
  const judged = (change: Partial<Awaited<ReturnType<typeof base.rejudge>>>) =>
    requestOf({ rejudge: async (approval) => ({ ...(await base.rejudge(approval)), ...change }) });

  it.each([
    ['policy denies now', { decision: decisionOf({ effect: 'deny' }) }],
    ['policy still wants it held', { decision: decisionOf({ effect: 'hold' }) }],
    ['a matched rule changed', { decision: decisionOf({ effect: 'allow', decisionDigest: sha256('stricter') }) }],
    ['the action changed', { actionDigest: sha256('other') }],
    ['the caller’s key changed', { principal: principalOf({ keyThumbprint: 'other' }) }],
    [
      'the caller acts for somebody else',
      { principal: principalOf({ onBehalfOf: [{ id: 'i#eve', issuer: 'i', subject: 'eve' }] }) },
    ],
    ['a task appeared', { task: taskOf() }],
  ])('invalidates when %s, tells it once, and asks anew after that', async (_, change) => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    expect(await codeOf(bench.approvals.obtain(judged(change)))).toBe('approval_invalidated');
    expect(await stateOf(hold)).toBe('INVALIDATED');
    expect((await openHoldBy(bench)).id).not.toBe(hold.id);
  });

  it('invalidates a pending hold when the identical request comes back under a changed rule', async () => {
    const hold = await openHoldBy(bench);
    const decision = decisionOf({ decisionDigest: sha256('edited') });
    expect(await codeOf(bench.approvals.obtain(requestOf({ decision })))).toBe('approval_invalidated');
    expect(await stateOf(hold)).toBe('INVALIDATED');
    expect((await openHoldBy(bench, { decision })).id).not.toBe(hold.id);
  });

  it('keeps the approval when only the policy around the matched rules changed', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    const edited = decisionOf({ policyDigest: sha256('unrelated edit') });
    expect(await bench.approvals.obtain(requestOf({ decision: edited }))).toMatchObject({
      kind: 'released',
      hold: { id: hold.id },
    });
  });

  it('keeps the approval when the caller’s token is refused, for the next attempt with a fresh one', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    const stale = requestOf({
      rejudge: () => Promise.reject(new GatewayError('token_expired', 'The token has expired.')),
    });
    expect(await codeOf(bench.approvals.obtain(stale))).toBe('token_expired');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('resolved');
  });

  it('gives policy the approval with the people who approved', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    bench.clock.advance(1_500);
    let seen: unknown;
    await bench.approvals.obtain(
      requestOf({
        rejudge: (approval) => {
          seen = { ...approval };
          return base.rejudge(approval);
        },
      }),
    );
    expect(seen).toMatchObject({ count: 1, reviewers: ['https://idp.example.org#alice'], ageMs: 1_500 });
  });

  it('invalidates when the reviewer who approved was suspended meanwhile', async () => {
    const suspended = new Set<string>();
    await bench.renew({ suspended: () => suspended });
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    suspended.add('alice');
    expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_invalidated');
    expect(await stateOf(hold)).toBe('INVALIDATED');
  });

  it('does not claim when the reviewer is suspended during the second judgement', async () => {
    const suspended = new Set<string>();
    await bench.renew({ suspended: () => suspended });
    await approve(bench, await openHoldBy(bench));
    const request = requestOf({
      rejudge: (approval) => {
        const judgement = base.rejudge(approval);
        suspended.add('alice');
        return judgement;
      },
    });
    expect(await codeOf(bench.approvals.obtain(request))).toBe('approval_invalidated');
  });
});

it('does not release a hold that was altered in the database after it was approved', async () => {
  const hold = await openHoldBy(bench);
  await approve(bench, hold);
  await bench.restart((db) => {
    db.prepare("UPDATE hold SET record = json_set(record, '$.deadline', ?) WHERE id = ?").run(
      hold.deadline + 1,
      hold.id,
    );
  });
  expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_invalidated');
});

describe('the agent’s own view', () => {
  it('shows a hold to its principal only', async () => {
    const hold = await openHoldBy(bench);
    expect((await bench.approvals.view(hold.id, principalOf(), 0)).id).toBe(hold.id);
    const other = principalOf({ id: 'spiffe://prod.example.org/other' });
    expect(await codeOf(bench.approvals.view(hold.id, other, 0))).toBe('hold_not_found');
    expect(await codeOf(bench.approvals.cancel(hold.id, other))).toBe('hold_not_found');
    const namesake = principalOf({ issuer: 'https://other.example.org' });
    expect(await codeOf(bench.approvals.view(hold.id, namesake, 0))).toBe('hold_not_found');
    expect(await codeOf(bench.approvals.view('hold_none', principalOf(), 0))).toBe('hold_not_found');
  });

  it('waits until the hold leaves PENDING', async () => {
    const hold = await openHoldBy(bench);
    const viewed = bench.approvals.view(hold.id, principalOf(), 60_000);
    await deny(bench, hold);
    expect((await viewed).state).toBe('DENIED');
  });

  it('refuses to cancel what was claimed or has ended', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    await bench.approvals.obtain(requestOf());
    expect(await codeOf(bench.approvals.cancel(hold.id, principalOf()))).toBe('hold_closed');
  });
});
