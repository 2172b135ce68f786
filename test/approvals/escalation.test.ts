// Escalation by the store's clock: the second group may vote from then on, is told once, and is bound by the same
// separation of duties.

import { describe, expect, it } from 'vitest';
import { codeOf } from '../support/failures.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { decisionOf, principalOf, requestOf, requirementOf, reviewerOf } from '../support/holds/values.ts';

const MINUTE = 60_000;
const requirements = [
  requirementOf({ escalate: { afterMs: 5 * MINUTE, to: ['group:directors', 'user:agent-owner'] } }),
];
const decision = decisionOf({ requirements, notify: ['soc'] });
const director = reviewerOf('dora', ['directors']);

const bench = useBench({ owners: () => ['agent-owner'] });

const told = async (): Promise<string[]> =>
  (await bench.store.notifications.list({})).map(({ kind }) => kind).reverse();

describe('a tier that escalates', () => {
  it('takes no vote of the second group before its time, and one from then on', async () => {
    const hold = await openHoldBy(bench, { decision });
    bench.clock.advance(5 * MINUTE - 1);
    expect(await codeOf(approve(bench, hold, director))).toBe('not_a_reviewer');
    bench.clock.advance(1);
    expect((await approve(bench, hold, director)).state).toBe('APPROVED');
    expect((await bench.approvals.obtain(requestOf({ decision }))).kind).toBe('released');
  });

  it('still takes the first group after it, and counts both towards one quorum', async () => {
    const two = decisionOf({
      requirements: [requirementOf({ count: 2, escalate: { afterMs: MINUTE, to: ['group:directors'] } })],
    });
    const hold = await openHoldBy(bench, { decision: two });
    await approve(bench, hold);
    bench.clock.advance(MINUTE);
    expect((await approve(bench, hold, director)).state).toBe('APPROVED');
  });

  it('refuses whom separation of duties excludes in the second group too', async () => {
    const hold = await openHoldBy(bench, { decision });
    bench.clock.advance(6 * MINUTE);
    expect(await codeOf(approve(bench, hold, reviewerOf('agent-owner', [])))).toBe('separation_of_duties');
    expect(await codeOf(approve(bench, hold, reviewerOf(principalOf().subject, ['directors'])))).toBe(
      'separation_of_duties',
    );
  });

  it('has people told once, also over a restart', async () => {
    await openHoldBy(bench, { decision });
    await bench.approvals.sweep();
    expect(await told()).toEqual(['hold.opened']);
    await bench.restart();
    bench.clock.advance(5 * MINUTE);
    await bench.approvals.start();
    await bench.approvals.sweep();
    expect(await told()).toEqual(['hold.opened', 'hold.escalated']);
  });

  it('tells nobody of a hold that was decided before', async () => {
    const hold = await openHoldBy(bench, { decision });
    await approve(bench, hold);
    bench.clock.advance(5 * MINUTE);
    await bench.approvals.sweep();
    expect(await told()).toEqual(['hold.opened']);
  });
});
