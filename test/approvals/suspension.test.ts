// The kill switch inside: no hold comes in behind it, no claim gets past it, and what it closed stays closed.

import { expect, it } from 'vitest';
import { codeOf } from '../support/failures.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { actionOf, principalOf, requestOf } from '../support/holds/values.ts';

const bench = useBench();

const callOf = (principal: ReturnType<typeof principalOf>) => ({ principal, action: actionOf() });
const suspend = () =>
  bench.store.suspensions.suspend({ principal: principalOf().id }, { by: 'idp#sam', reason: 'odd' });

it('stops a call that was claimed but not sent: it is not marked as sent, and its hold ends', async () => {
  await approve(bench, await openHoldBy(bench));
  const clearance = await bench.approvals.obtain(requestOf());
  await suspend();
  expect(await codeOf(bench.approvals.markSent(clearance))).toBe('principal_suspended');
  expect(await bench.approvals.settle(clearance, 'not_sent')).toMatchObject({
    state: 'EXPIRED',
    expiryReason: 'abandoned',
  });
});

it('lets no hold in behind it, whoever got past the door before', async () => {
  await suspend();
  expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('principal_suspended');
  expect((await bench.store.holds.list({})).holds).toEqual([]);
});

it('closes a hold at the same moment as its approval, one way or the other', async () => {
  const hold = await openHoldBy(bench);
  const [, vote] = await Promise.allSettled([suspend(), approve(bench, hold)]);
  expect((await bench.store.holds.get(hold.id))?.state).toBe('REVOKED');
  expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('principal_suspended');
  expect(['fulfilled', 'rejected']).toContain(vote.status);
});

it('stops a caller by either of the two identities that it proved, and closes its holds', async () => {
  const both = principalOf({ spiffeId: 'spiffe://prod.test/agent' });
  let serial = 0;
  for (const principal of [both.id, 'spiffe://prod.test/agent']) {
    const hold = await openHoldBy(bench, { principal: both, action: actionOf({ target: `/transfers?${serial++}` }) });
    const { suspension } = await bench.store.suspensions.suspend({ principal }, { by: 'idp#sam', reason: 'odd' });
    expect((await bench.store.holds.get(hold.id))?.state).toBe('REVOKED');
    expect(bench.store.suspensions.covering(callOf(both))).toEqual(suspension);
    await bench.store.suspensions.lift(suspension.id, 'idp#sam');
    expect(bench.store.suspensions.covering(callOf(both))).toBeUndefined();
  }
});

it('leaves revoked what it revoked when it is lifted', async () => {
  const hold = await openHoldBy(bench);
  const { suspension } = await suspend();
  await bench.store.suspensions.lift(suspension.id, 'idp#sam');
  expect((await bench.store.holds.get(hold.id))?.state).toBe('REVOKED');
  expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_revoked');
  expect(await codeOf(bench.approvals.obtain(requestOf()))).toBe('approval_pending');
});

it('is there again after a restart, until it was lifted', async () => {
  const { suspension } = await suspend();
  await bench.restart();
  expect(bench.store.suspensions.covering(callOf(principalOf()))).toEqual(suspension);
  await bench.store.suspensions.lift(suspension.id, 'idp#sam');
  await bench.restart();
  expect(bench.store.suspensions.covering(callOf(principalOf()))).toBeUndefined();
});
