// Coming back for one hold by its id: its approval and no other's is used, and nothing is ever opened.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { codeOf } from '../support/failures.ts';
import { approve, deny, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, decisionOf, principalOf, requestOf, requirementOf, reviewerOf } from '../support/holds/values.ts';
import { taskOf } from '../support/tasks.ts';

const bench = useBench();

const resume = (hold: Hold, more: Parameters<typeof requestOf>[0] = {}) =>
  bench.approvals.obtain(requestOf({ resumes: hold.id, ...more }));
const stateOf = async ({ id }: Hold) => (await bench.store.holds.get(id))?.state;
const count = async () => (await bench.store.holds.list({})).holds.length;

describe('an approval that is resumed', () => {
  it('is used once, by one of many that come at the same time', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => codeOf(resume(hold))));
    expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['resolved', 'already_sent']));
    expect(await count()).toBe(1);
  });

  it('is that of the hold which is named, also where another hold is open for the same request', async () => {
    const named = await openHoldBy(bench, { idempotencyKey: 'a' });
    const other = await openHoldBy(bench, { idempotencyKey: 'b' });
    await approve(bench, other);
    expect(await codeOf(resume(named))).toBe('approval_pending');
    expect(await stateOf(other)).toBe('APPROVED');
    await approve(bench, named);
    expect(await resume(named)).toMatchObject({ kind: 'released', hold: { id: named.id } });
  });

  it.each([
    ['another action', { action: actionOf({}, '{"amount":6}') }],
    ['another caller', { principal: principalOf({ keyThumbprint: 'k2' }) }],
    ['other rules', { decision: decisionOf({ decisionDigest: sha256('other') }) }],
    ['a task', { task: taskOf() }],
    [
      'rules that allow it by themselves',
      { decision: decisionOf({ effect: 'allow', decisionDigest: sha256('allowed') }) },
    ],
  ])('is void for %s, before and after it is given', async (_what, changed) => {
    const pending = await openHoldBy(bench);
    expect(await codeOf(resume(pending, changed))).toBe('approval_invalidated');
    const approved = await openHoldBy(bench);
    await approve(bench, approved);
    expect(await codeOf(resume(approved, changed))).toBe('approval_invalidated');
    expect([await stateOf(pending), await stateOf(approved)]).toEqual(['INVALIDATED', 'INVALIDATED']);
    expect(await count()).toBe(2);
  });
});

describe('a hold that has ended', () => {
  const endings: [string, string, (hold: Hold) => Promise<unknown>][] = [
    ['denied', 'approval_denied', (hold) => deny(bench, hold)],
    ['cancelled', 'approval_revoked', (hold) => bench.approvals.cancel(hold.id, principalOf())],
    ['revoked', 'approval_revoked', (hold) => bench.approvals.revoke(hold.id, reviewerOf('alice'), undefined)],
    ['undecided', 'approval_expired', async () => bench.clock.advance(requirementOf().decideWithinMs)],
    [
      'unused',
      'approval_unused',
      (hold) => approve(bench, hold).then(() => bench.clock.advance(requirementOf().useWithinMs)),
    ],
    ['used', 'already_sent', (hold) => approve(bench, hold).then(() => resume(hold))],
  ];

  it.each(endings)('%s stays ended, however often and however late it is resumed', async (_how, code, end) => {
    const hold = await openHoldBy(bench);
    await end(hold);
    expect(await codeOf(resume(hold))).toBe(code);
    bench.clock.advance(24 * 60 * 60_000);
    for (const _ of [1, 2]) expect(await codeOf(resume(hold))).toBe(code);
    expect(await count()).toBe(1);
  });

  it('is recalled with the words of its ending, which then count as told', async () => {
    const hold = await openHoldBy(bench);
    expect(await bench.approvals.recall(hold.id, principalOf())).toMatchObject({ hold: { state: 'PENDING' } });
    bench.clock.advance(requirementOf().decideWithinMs);
    expect(await bench.approvals.recall(hold.id, principalOf())).toMatchObject({
      hold: { state: 'EXPIRED' },
      ending: { code: 'approval_expired' },
    });
    // So the same request is a new one now.
    expect((await openHoldBy(bench)).id).not.toBe(hold.id);
  });
});

describe('recalling', () => {
  it.each([
    ['another agent', { id: 'spiffe://prod.example.org/other' }],
    ['another issuer', { issuer: 'spiffe://other.example.org' }],
    ['the same agent with another key', { keyThumbprint: 'k2' }],
    ['the same agent for another user', { onBehalfOf: [{ id: 'i#eve', issuer: 'i', subject: 'eve' }] }],
  ])('a hold finds nothing for %s', async (_who, other) => {
    const hold = await openHoldBy(bench);
    const theirs = bench.approvals.recall(hold.id, principalOf(other)).catch((thrown: Error) => thrown.message);
    const nobodys = bench.approvals
      .recall(`hold_${'A'.repeat(22)}`, principalOf(other))
      .catch((thrown: Error) => thrown.message);
    expect(await theirs).toBe(await nobodys);
    expect(await theirs).toContain('hold_not_found');
  });
});
