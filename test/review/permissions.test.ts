// What a reviewer may do with a hold, by its state and its time: the same answer as the vote itself would get.

import { describe, expect, it } from 'vitest';
import { isEligible } from '../../src/approvals/quorum.ts';
import { conflictOf } from '../../src/approvals/separation.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { type Eligibility, isNamed, permissionsOf } from '../../src/review/permissions.ts';
import { approve, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { principalOf, requirementOf, reviewerOf } from '../support/holds/values.ts';

const eligibility: Eligibility = { isEligible, conflictOf, requirementsOf: (hold) => hold.requirements };
const bench = useBench();
const may = (hold: Hold, subject = 'bob') => permissionsOf(eligibility, hold, reviewerOf(subject), bench.clock.now());
const everything = { vote: true, approve: true, deny: true, revoke: true };
const nothing = { vote: false, approve: false, deny: false, revoke: false };

describe('a pending hold', () => {
  it('is open to both verdicts until its deadline, and to none from then on', async () => {
    const hold = await openHoldBy(bench);
    bench.clock.advance(requirementOf().decideWithinMs - 1);
    expect(may(hold)).toEqual(everything);
    bench.clock.advance(1);
    expect(may(hold)).toEqual({ ...nothing, why: 'Its time has run out.' });
  });

  it('is closed to whoever makes the call, or is behind it', async () => {
    const alice = { id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' };
    const hold = await openHoldBy(bench, { principal: principalOf({ onBehalfOf: [alice] }) });
    expect(may(hold, 'alice')).toEqual({ ...nothing, why: expect.stringContaining('someone else has to decide') });
    expect(may(hold, 'bob')).toEqual(everything);
  });
});

describe('an approved hold', () => {
  it('can be denied or revoked until it must be used, and by whoever approved it only revoked', async () => {
    const hold = await approve(bench, await openHoldBy(bench), reviewerOf('alice'));
    expect(may(hold)).toMatchObject({ vote: true, approve: false, deny: true, revoke: true });
    expect(may(hold, 'alice')).toMatchObject({ ...nothing, revoke: true });
    bench.clock.advance(requirementOf().useWithinMs);
    expect(may(hold)).toEqual({ ...nothing, why: 'Its time has run out.' });
  });
});

describe('a hold that has ended', () => {
  it('is closed to everybody, and says as what', async () => {
    const opened = await openHoldBy(bench);
    expect(may(await bench.approvals.cancel(opened.id, principalOf()))).toEqual({
      ...nothing,
      why: 'It is closed: CANCELLED.',
    });
  });
});

it('is nothing to whom no requirement names', async () => {
  const hold = await openHoldBy(bench);
  expect(isNamed(eligibility, hold, reviewerOf('bob'))).toBe(true);
  expect(isNamed(eligibility, hold, reviewerOf('mallory', ['marketing']))).toBe(false);
});
