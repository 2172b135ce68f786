// Parses stored records: the one place where text becomes a Hold. Trusts the members that every hold has, since this
// store wrote them. Refuses a record whose members are not exactly those of its state: nobody may decide on a hold
// whose state is unclear, and nothing may be sent.

import type { Hold, HoldProgress, HoldState } from '../domain/hold.ts';
import { GatewayError } from '../errors.ts';

type Member = Exclude<keyof HoldProgress, 'state'> | 'claim';

const MEMBERS: Readonly<Record<Member, 'number' | 'string'>> = {
  approvedAt: 'number',
  useBy: 'number',
  claim: 'string',
  claimedBy: 'string',
  sentAt: 'number',
  endedAt: 'number',
  expiryReason: 'string',
  endedBecause: 'string',
  outcomeStatus: 'number',
};
const APPROVED: readonly Member[] = ['approvedAt', 'useBy'];
const CLAIMED: readonly Member[] = [...APPROVED, 'claim', 'claimedBy'];
const SENT: readonly Member[] = [...CLAIMED, 'sentAt'];

interface Shape {
  /** The members that the state has. It has no others of MEMBERS. */
  readonly has: readonly Member[];
  /** Further members that the state may have: all of them or none. */
  readonly mayHave?: readonly Member[];
}

const unsent = (...has: readonly Member[]): Shape => ({ has: [...has, 'endedAt'], mayHave: APPROVED });

const SHAPES: Readonly<Record<Exclude<HoldState, 'EXPIRED'>, Shape>> = {
  PENDING: { has: [] },
  APPROVED: { has: APPROVED },
  RELEASING: { has: CLAIMED },
  SENT: { has: SENT },
  EXECUTED: { has: [...SENT, 'outcomeStatus', 'endedAt'] },
  UPSTREAM_ERROR: { has: [...SENT, 'endedAt'], mayHave: ['outcomeStatus'] },
  OUTCOME_UNKNOWN: { has: [...SENT, 'endedAt'], mayHave: ['outcomeStatus'] },
  DENIED: unsent(),
  CANCELLED: unsent(),
  REVOKED: unsent('endedBecause'),
  INVALIDATED: unsent('endedBecause'),
};
const EXPIRED: Readonly<Record<string, Shape>> = {
  undecided: { has: ['expiryReason', 'endedAt'] },
  unused: { has: [...APPROVED, 'expiryReason', 'endedAt'] },
  abandoned: { has: [...CLAIMED, 'expiryReason', 'endedAt'] },
};

/** Throws `store_unavailable` for a record that fits no state. */
export function parseHold(record: string): Hold {
  const hold = JSON.parse(record) as Readonly<Record<string, unknown>>;
  const state = String(hold.state);
  const shape = state === 'EXPIRED' ? of(EXPIRED, String(hold.expiryReason)) : of(SHAPES, state);
  const fault = shape === undefined ? 'no state of a hold' : faultOf(hold, shape);
  if (fault === undefined) return hold as unknown as Hold;
  throw new GatewayError(
    'store_unavailable',
    `The stored record of ${hold.id} cannot be used: it is ${state}, ${fault}. Restore the store from a backup.`,
  );
}

const of = (shapes: Readonly<Record<string, Shape>>, name: string): Shape | undefined =>
  Object.hasOwn(shapes, name) ? shapes[name] : undefined;

function faultOf(hold: Readonly<Record<string, unknown>>, { has, mayHave = [] }: Shape): string | undefined {
  const hasMore = mayHave.some((member) => hold[member] !== undefined);
  for (const member in MEMBERS) {
    const name = member as Member;
    const wanted = has.includes(name) || (hasMore && mayHave.includes(name));
    if (wanted && typeof hold[name] !== MEMBERS[name]) return `and its ${name} is missing or of the wrong type`;
    if (!wanted && hold[name] !== undefined) return `and has a ${name}, which that state has not`;
  }
  return undefined;
}
