// A stored record is a hold of one state, or it is nothing that anybody decides on.
// Kind: a hold whose members are those of no state, taken for one of a state (an approval without an end, a claim of
// nobody).

import { describe, expect, it } from 'vitest';
import { recordHold } from '../../src/approvals/hold-record.ts';
import { advance, type HoldEvent, openHold } from '../../src/approvals/machine.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { parseHold } from '../../src/store/parse-hold.ts';
import { requestOf, reviewerOf, TRACE } from '../support/holds/values.ts';

const START = 1_000_000;
const LATE = START + 24 * 3_600_000;

const vote = (decision: 'approve' | 'deny'): HoldEvent => ({
  type: 'vote',
  vote: { reviewer: reviewerOf('alice'), decision, at: START, bindingDigest: '', span: TRACE.admit },
  suspended: new Set(),
});
const APPROVE = vote('approve');
const DENY = vote('deny');
const CLAIM: HoldEvent = { type: 'claim', claim: 'c', claimedBy: 'here' };
const SEND: HoldEvent = { type: 'send', claim: 'c' };
const finish = (known: boolean, status?: number): HoldEvent => ({
  type: 'finish',
  claim: 'c',
  known,
  ...(status !== undefined && { status }),
});

function after(...events: readonly HoldEvent[]): Hold {
  let hold: Hold = openHold(recordHold(requestOf(), 'digest', []), START);
  for (const event of events) hold = advance(hold, event, event.type === 'expire' ? LATE : START);
  return hold;
}

const EVERY: readonly Hold[] = [
  after(),
  after(APPROVE),
  after(APPROVE, CLAIM),
  after(APPROVE, CLAIM, SEND),
  after(APPROVE, CLAIM, SEND, finish(true, 200)),
  after(APPROVE, CLAIM, SEND, finish(true, 500), { type: 'report' }),
  after(APPROVE, CLAIM, SEND, finish(true)),
  after(APPROVE, CLAIM, SEND, finish(false)),
  after(APPROVE, CLAIM, SEND, finish(false, 200)),
  after(APPROVE, CLAIM, { type: 'abandon', claim: 'c' }),
  after({ type: 'expire' }),
  after(APPROVE, { type: 'expire' }),
  ...[DENY, { type: 'cancel' }, { type: 'revoke', because: 'x' }, { type: 'invalidate', because: 'x' }].flatMap(
    (end) => [after(end as HoldEvent), after(APPROVE, end as HoldEvent)],
  ),
];
const OF_STATES = [
  'approvedAt',
  'useBy',
  'claim',
  'claimedBy',
  'sentAt',
  'endedAt',
  'expiryReason',
  'endedBecause',
  'outcomeStatus',
] as const;
/** Without it the state is another one of the same name: a send without an answer, an ending before the quorum. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  UPSTREAM_ERROR: ['outcomeStatus'],
  OUTCOME_UNKNOWN: ['outcomeStatus'],
};

describe.each(EVERY.map((hold) => [hold.state, hold] as const))('a record in %s', (state, hold) => {
  const members: Readonly<Record<string, unknown>> = { ...hold };

  it('that the state machine made is taken', () => {
    expect(parseHold(JSON.stringify(hold))).toEqual(hold);
  });

  it('with a member less, or of another type, is refused', () => {
    for (const member of OF_STATES.filter((name) => members[name] !== undefined)) {
      const { [member]: _, ...less } = members;
      if (!OPTIONAL[state]?.includes(member)) expect(() => parseHold(JSON.stringify(less))).toThrow(hold.id);
      const other = typeof members[member] === 'number' ? '1' : 1;
      expect(() => parseHold(JSON.stringify({ ...members, [member]: other }))).toThrow(hold.id);
    }
  });

  it('with a member that its state has not is refused', () => {
    const mayHave = ['DENIED', 'CANCELLED', 'REVOKED', 'INVALIDATED'].includes(state) ? ['approvedAt', 'useBy'] : [];
    const more = { approvedAt: 1, useBy: 1, claim: 'c', claimedBy: 'p', sentAt: 1, endedAt: 1, endedBecause: 'x' };
    for (const [member, value] of Object.entries({ ...more, expiryReason: 'unused', outcomeStatus: 200 }))
      if (members[member] === undefined && !mayHave.includes(member) && !OPTIONAL[state]?.includes(member))
        expect(() => parseHold(JSON.stringify({ ...members, [member]: value }))).toThrow(hold.id);
  });
});

it.each(['', 'pending', 'toString', 'DONE'])('a record in a state “%s” is refused', (state) => {
  expect(() => parseHold(JSON.stringify({ ...after(), state }))).toThrow(/store_unavailable|cannot be used/);
});

it('an EXPIRED record without a known reason is refused', () => {
  const record = { ...after(), state: 'EXPIRED', endedAt: 1, expiryReason: 'constructor' };
  expect(() => parseHold(JSON.stringify(record))).toThrow('cannot be used');
});
