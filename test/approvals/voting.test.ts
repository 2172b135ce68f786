import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { codeOf } from '../support/failures.ts';
import { approve, deny, openHoldBy } from '../support/holds/bench.ts';
import { useBench } from '../support/holds/use-bench.ts';
import { decisionOf, principalOf, requestOf, requirementOf, reviewerOf } from '../support/holds/values.ts';

const bench = useBench();

const party = (subject: string) => ({
  id: `https://other.example.org#${subject}`,
  issuer: 'https://other.example.org',
  subject,
});
const held = (requirement: Parameters<typeof requirementOf>[0]) =>
  openHoldBy(bench, { decision: decisionOf({ requirements: [requirementOf(requirement)] }) });

describe('who may vote', () => {
  it('refuses a reviewer whom no requirement names', async () => {
    const hold = await openHoldBy(bench);
    expect(await codeOf(approve(bench, hold, reviewerOf('mallory', ['marketing', 'finance-interns'])))).toBe(
      'not_a_reviewer',
    );
    expect(await codeOf(bench.approvals.revoke(hold.id, reviewerOf('mallory', []), 'x'))).toBe('not_a_reviewer');
    expect((await bench.store.holds.get(hold.id))?.votes).toEqual([]);
  });

  it('does not take a group for a user of the same name, nor a user for a group', async () => {
    expect(
      await codeOf(approve(bench, await held({ reviewers: ['user:finance'] }), reviewerOf('alice', ['finance']))),
    ).toBe('not_a_reviewer');
    expect(
      await codeOf(approve(bench, await openHoldBy(bench, { idempotencyKey: 'k' }), reviewerOf('finance', []))),
    ).toBe('not_a_reviewer');
  });

  it('takes a vote of a user named by subject', async () => {
    expect((await approve(bench, await held({ reviewers: ['user:carol'] }), reviewerOf('carol', []))).state).toBe(
      'APPROVED',
    );
  });

  it('refuses a suspended reviewer', async () => {
    await bench.renew({ suspended: () => new Set(['alice']) });
    expect(await codeOf(approve(bench, await openHoldBy(bench)))).toBe('not_a_reviewer');
  });

  it.each([
    ['the agent itself', { id: 'https://idp.example.org#alice', issuer: 'https://idp.example.org', subject: 'alice' }],
    ['the agent under another issuer', party('alice')],
    ['the user that the agent acts for, whatever the issuer', { onBehalfOf: [party('alice')] }],
    ['somebody earlier in the chain', { onBehalfOf: [party('zed'), party('alice')] }],
    ['the same person in other letters', { onBehalfOf: [party('ALICE')] }],
  ])('refuses a vote of %s', async (_, principal) => {
    const hold = await openHoldBy(bench, { principal: principalOf(principal) });
    expect(await codeOf(approve(bench, hold))).toBe('separation_of_duties');
    expect(await codeOf(deny(bench, hold, reviewerOf('alice')))).toBe('separation_of_duties');
    expect(await codeOf(bench.approvals.revoke(hold.id, reviewerOf('alice'), 'x'))).toBe('separation_of_duties');
    expect((await approve(bench, hold, reviewerOf('bob'))).state).toBe('APPROVED');
  });

  it.each(['alice', 'user:alice', 'https://idp.example.org#alice'])(
    'refuses the registered owner %s, also when registered after the hold was made',
    async (owner) => {
      const owners: string[] = [];
      await bench.renew({ owners: () => [...owners] });
      const hold = await openHoldBy(bench);
      owners.push('zed', owner);
      expect(await codeOf(approve(bench, hold))).toBe('separation_of_duties');
    },
  );

  it('refuses who owned the agent when the hold was made, although no longer now', async () => {
    let owners = ['alice'];
    await bench.renew({ owners: () => owners });
    const hold = await openHoldBy(bench);
    owners = [];
    expect(await codeOf(approve(bench, hold))).toBe('separation_of_duties');
  });
});

describe('what a vote must be', () => {
  it('refuses a vote on another binding digest', async () => {
    const [hold, other] = [await openHoldBy(bench), await openHoldBy(bench, { idempotencyKey: 'other' })];
    expect(
      await codeOf(
        bench.approvals.vote(hold.id, reviewerOf('alice'), { decision: 'approve', bindingDigest: other.bindingDigest }),
      ),
    ).toBe('stale_digest');
    expect(
      await codeOf(
        bench.approvals.vote('hold_none', reviewerOf('alice'), {
          decision: 'approve',
          bindingDigest: hold.bindingDigest,
        }),
      ),
    ).toBe('hold_not_found');
  });

  it('refuses a second vote of the same person, before and after the quorum', async () => {
    const hold = await held({ count: 2 });
    await approve(bench, hold);
    expect(await codeOf(approve(bench, hold))).toBe('already_voted');
    expect(await codeOf(deny(bench, hold, reviewerOf('alice')))).toBe('already_voted');
    await approve(bench, hold, reviewerOf('bob'));
    expect(await codeOf(deny(bench, hold, reviewerOf('alice')))).toBe('already_voted');
  });

  it('counts one person with sign-ins at two issuers once', async () => {
    const hold = await held({ count: 2 });
    await approve(bench, hold);
    expect(
      await codeOf(
        approve(bench, hold, reviewerOf('alice', ['finance'], { id: 'https://b#alice', issuer: 'https://b' })),
      ),
    ).toBe('already_voted');
  });

  it('counts one of two votes that one person casts at once', async () => {
    const hold = await held({ count: 2 });
    const codes = await Promise.all([codeOf(approve(bench, hold)), codeOf(approve(bench, hold))]);
    expect(codes.sort()).toEqual(['already_voted', 'resolved']);
    expect((await bench.store.holds.get(hold.id))?.votes).toHaveLength(1);
  });

  it('ends the hold with one deny of somebody else, before the quorum and after it, but not once it is claimed', async () => {
    const pending = await held({ count: 2 });
    await approve(bench, pending);
    expect((await deny(bench, pending)).state).toBe('DENIED');
    const approved = await openHoldBy(bench, { principal: principalOf({ id: 'spiffe://prod.example.org/b' }) });
    await approve(bench, approved);
    expect((await deny(bench, approved)).state).toBe('DENIED');
    const other = { principal: principalOf({ id: 'spiffe://prod.example.org/c' }) };
    const claimed = await openHoldBy(bench, other);
    await approve(bench, claimed);
    await bench.approvals.obtain(requestOf(other));
    expect(await codeOf(deny(bench, claimed))).toBe('hold_closed');
  });

  it('refuses an approval of what is approved or has ended', async () => {
    const hold = await openHoldBy(bench);
    await approve(bench, hold);
    expect(await codeOf(approve(bench, hold, reviewerOf('bob')))).toBe('hold_closed');
    await bench.approvals.cancel(hold.id, principalOf());
    expect(await codeOf(deny(bench, hold))).toBe('hold_closed');
    expect(await codeOf(bench.approvals.revoke(hold.id, reviewerOf('alice'), 'x'))).toBe('hold_closed');
  });

  it('refuses a vote at the deadline by the store’s clock, and the hold is then expired', async () => {
    const hold = await openHoldBy(bench);
    bench.clock.advance(15 * 60_000);
    expect(await codeOf(approve(bench, hold))).toBe('hold_closed');
    expect((await bench.store.holds.get(hold.id))?.state).toBe('EXPIRED');
  });

  it('asks for a reason where the tier does, for approving, denying and revoking, and bounds its length', async () => {
    const hold = await held({ reasonRequired: true });
    const ballot = (decision: 'approve' | 'deny', reason?: string) =>
      bench.approvals.vote(hold.id, reviewerOf('alice'), {
        decision,
        bindingDigest: hold.bindingDigest,
        ...(reason === undefined ? {} : { reason }),
      });
    expect(await codeOf(ballot('approve'))).toBe('reason_required');
    expect(await codeOf(ballot('deny', ' \n'))).toBe('reason_required');
    expect(await codeOf(bench.approvals.revoke(hold.id, reviewerOf('alice'), undefined))).toBe('reason_required');
    expect(await codeOf(ballot('approve', 'x'.repeat(2_001)))).toBe('bad_vote');
    expect((await ballot('approve', ' checked the invoice ')).votes).toMatchObject([{ reason: 'checked the invoice' }]);
  });

  it.each([
    ['no sign-in time', undefined, 'step_up_required'],
    ['a sign-in just over five minutes ago', -300_001, 'step_up_required'],
    ['a sign-in far in the future', 60_001, 'step_up_required'],
    ['a sign-in five minutes ago', -300_000, 'resolved'],
  ])('with step-up, answers a vote with %s by %s', async (_, age, code) => {
    const hold = await held({ stepUp: true });
    const signedIn = age === undefined ? {} : { authenticatedAt: bench.clock.now() + (age as number) };
    expect(await codeOf(approve(bench, hold, reviewerOf('alice', ['finance'], signedIn)))).toBe(code);
  });
});

describe('the record of a vote', () => {
  it('is on disk before the vote is in force', async () => {
    const hold = await openHoldBy(bench);
    const states: (string | undefined)[] = [];
    bench.onAppend(async ({ type, record }) => {
      if (type === 'vote' && record.phase === 'cast') states.push((await bench.store.holds.get(hold.id))?.state);
    });
    await approve(bench, hold);
    expect(states).toEqual(['PENDING']);
    expect(bench.audit.filter(({ type }) => type === 'vote').map(({ record }) => record.phase)).toEqual([
      'cast',
      'counted',
    ]);
  });

  it('keeps a vote from counting when it cannot be written', async () => {
    const hold = await openHoldBy(bench);
    bench.onAppend(() => {
      throw new GatewayError('audit_unavailable', 'The disk is full.');
    });
    expect(await codeOf(approve(bench, hold))).toBe('audit_unavailable');
    expect(await bench.store.holds.get(hold.id)).toMatchObject({ state: 'PENDING', votes: [] });
  });

  it('says so when a vote that was cast came too late', async () => {
    const hold = await openHoldBy(bench);
    bench.onAppend(({ record }) => {
      if (record.phase === 'cast') bench.clock.advance(15 * 60_000);
    });
    expect(await codeOf(approve(bench, hold))).toBe('hold_closed');
    expect(bench.audit.filter(({ type }) => type === 'vote').map(({ record }) => [record.phase, record.code])).toEqual([
      ['cast', undefined],
      ['void', 'hold_closed'],
    ]);
    expect(await bench.store.holds.get(hold.id)).toMatchObject({ state: 'EXPIRED', votes: [] });
  });
});
