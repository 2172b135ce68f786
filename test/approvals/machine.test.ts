import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordHold } from '../../src/approvals/hold-record.ts';
import { advance, type HoldEvent, isEnded, openHold } from '../../src/approvals/machine.ts';
import { approversOf, isSatisfied } from '../../src/approvals/quorum.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { GatewayError } from '../../src/errors.ts';
import { decisionOf, requestOf, requirementOf, reviewerOf, TRACE } from '../support/holds/values.ts';

const START = 1_000_000;
const NOBODY: ReadonlySet<string> = new Set();
const requirements = [
  requirementOf({ tier: 'a', count: 2, decideWithinMs: 100, useWithinMs: 50 }),
  requirementOf({ tier: 'b', reviewers: ['group:b'], useWithinMs: 40 }),
];
const fresh = (): Hold =>
  openHold(recordHold(requestOf({ decision: decisionOf({ requirements }) }), 'digest', []), START);

const vote = (decision: 'approve' | 'deny', subject: string, at = START): HoldEvent => ({
  type: 'vote',
  vote: {
    reviewer: reviewerOf(subject, subject === 'b' ? ['b'] : ['finance', 'b']),
    decision,
    at,
    bindingDigest: '',
    span: TRACE.admit,
  },
  suspended: NOBODY,
});
const claimBy = (claim: string): HoldEvent => ({ type: 'claim', claim, claimedBy: 'here' });

function run(events: readonly HoldEvent[], now = START): Hold {
  return events.reduce((hold, event) => advance(hold, event, now), fresh());
}
const APPROVALS = [vote('approve', 'p'), vote('approve', 'q'), vote('approve', 'r')];

describe('the state machine', () => {
  it('goes its whole way to EXECUTED', () => {
    const hold = run([
      ...APPROVALS,
      claimBy('c'),
      { type: 'send', claim: 'c' },
      { type: 'finish', claim: 'c', known: true, status: 201 },
    ]);
    expect(hold).toMatchObject({ state: 'EXECUTED', outcomeStatus: 201, claim: 'c', sentAt: START, endedAt: START });
  });

  it('takes the shortest of the tiers’ clocks', () => {
    expect(fresh().deadline).toBe(START + 100);
    expect(run(APPROVALS, START + 7)).toMatchObject({ state: 'APPROVED', approvedAt: START + 7, useBy: START + 47 });
  });

  it.each([
    [{ known: true, status: 200 }, 'EXECUTED'],
    [{ known: true, status: 302 }, 'EXECUTED'],
    [{ known: true, status: 404 }, 'UPSTREAM_ERROR'],
    [{ known: true }, 'UPSTREAM_ERROR'],
    [{ known: false }, 'OUTCOME_UNKNOWN'],
    [{ known: false, status: 200 }, 'OUTCOME_UNKNOWN'],
  ])('takes an outcome of %j for %s', (outcome, state) => {
    expect(
      run([...APPROVALS, claimBy('c'), { type: 'send', claim: 'c' }, { type: 'finish', claim: 'c', ...outcome }]).state,
    ).toBe(state);
  });

  it('refuses every step of a release to whoever does not hold the claim', () => {
    const releasing = run([...APPROVALS, claimBy('c')]);
    expect(() => advance(releasing, { type: 'send', claim: 'other' }, START)).toThrow(GatewayError);
    expect(() => advance(releasing, { type: 'abandon', claim: 'other' }, START)).toThrow(GatewayError);
    expect(() => advance(releasing, claimBy('second'), START)).toThrow(GatewayError);
  });

  it('refuses to expire a hold whose clock still runs, and to claim or vote when it has run out', () => {
    expect(() => advance(fresh(), { type: 'expire' }, START + 99)).toThrow(GatewayError);
    expect(advance(fresh(), { type: 'expire' }, START + 100)).toMatchObject({
      state: 'EXPIRED',
      expiryReason: 'undecided',
    });
    expect(() => advance(fresh(), vote('approve', 'p'), START + 100)).toThrow(GatewayError);
    expect(() => advance(run(APPROVALS), claimBy('c'), START + 40)).toThrow(GatewayError);
    expect(() => advance(run(APPROVALS), vote('deny', 'z'), START + 40)).toThrow(GatewayError);
    expect(advance(run(APPROVALS), { type: 'expire' }, START + 40)).toMatchObject({
      state: 'EXPIRED',
      expiryReason: 'unused',
    });
  });

  const events: fc.Arbitrary<HoldEvent> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .record({ decision: fc.constant('approve' as const), who: fc.constantFrom('p', 'q', 'r', 'b') })
        .map(({ decision, who }) => vote(decision, who)),
    },
    { weight: 3, arbitrary: fc.constantFrom('c1', 'c2').map(claimBy) },
    { weight: 3, arbitrary: fc.constantFrom('c1', 'c2').map((claim): HoldEvent => ({ type: 'send', claim })) },
    fc.constantFrom('c1', 'c2').map((claim): HoldEvent => ({ type: 'abandon', claim })),
    fc
      .record({ claim: fc.constantFrom('c1', 'c2'), known: fc.boolean(), status: fc.constantFrom(200, 500) })
      .map((each): HoldEvent => ({ type: 'finish', ...each })),
    fc.constantFrom<HoldEvent>(
      vote('deny', 'p'),
      { type: 'expire' },
      { type: 'cancel' },
      { type: 'revoke', because: 'x' },
      { type: 'invalidate', because: 'x' },
      { type: 'report' },
    ),
  );
  // Chance alone seldom gets past the quorum: a history starts with some of the way, and goes on at random.
  const WAY: readonly HoldEvent[] = [
    ...APPROVALS,
    claimBy('c1'),
    { type: 'send', claim: 'c1' },
    { type: 'finish', claim: 'c1', known: true, status: 200 },
  ];
  const histories = fc
    .tuple(fc.nat({ max: WAY.length }), fc.array(fc.tuple(events, fc.integer({ min: 0, max: 12 })), { maxLength: 40 }))
    .map(([steps, rest]) => [...WAY.slice(0, steps).map((event) => [event, 1] as const), ...rest]);

  it('keeps its promises over any sequence of events', () => {
    let approved = 0;
    let finished = 0;
    fc.assert(
      fc.property(histories, (history) => {
        let hold = fresh();
        let now = START;
        const entered: string[] = [];
        for (const [event, ms] of history) {
          now += ms;
          const before = hold;
          try {
            hold = advance(before, event, now);
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: 'hold_closed' });
            continue;
          }
          if (hold.state !== before.state) entered.push(hold.state);
          if (isEnded(before)) expect(hold.state).toBe(before.state);
          for (const bound of [
            'id',
            'action',
            'bindingDigest',
            'principal',
            'deadline',
            'nonce',
            'requirements',
          ] as const)
            expect(hold[bound]).toBe(before[bound]);
          if (hold.state === 'APPROVED' && before.state === 'PENDING') {
            approved++;
            expect(isSatisfied(hold.requirements, approversOf(hold.votes, NOBODY))).toBe(true);
            expect(now).toBeLessThan(hold.deadline);
          }
          if (hold.state === 'RELEASING' && before.state !== 'RELEASING') {
            expect(before.state).toBe('APPROVED');
            expect(now).toBeLessThan(hold.useBy);
          }
          if (hold.state === 'SENT' && before.state !== 'SENT')
            expect([before.state, hold.claim]).toEqual(['RELEASING', event.type === 'send' && event.claim]);
          expect(isEnded(hold)).toBe('endedAt' in hold);
        }
        for (const once of ['APPROVED', 'RELEASING', 'SENT'])
          expect(entered.filter((state) => state === once).length).toBeLessThanOrEqual(1);
        if (entered.some((state) => ['EXECUTED', 'UPSTREAM_ERROR', 'OUTCOME_UNKNOWN'].includes(state))) finished++;
      }),
      { numRuns: 1_000 },
    );
    // The generator must reach the far end of the machine, or the property says nothing about it.
    expect(approved).toBeGreaterThan(100);
    expect(finished).toBeGreaterThan(50);
  });
});
