// Who decides in a tier, in the two forms in which a file says it: one list of reviewers, or `require` with an entry for
// each seat. `needsOf` is the one reading of both.

/** In place of people: the owners of what the call concerns, as the configuration names them (`resources`). */
export const OWNER = 'owner';

/** Who may vote as well once `afterMs` have passed since the hold was opened. */
export interface Escalation {
  readonly afterMs: number;
  readonly to: readonly string[];
}

/** One entry of `require`. */
export interface Need {
  /** `owner` alone, or people: `group:<name>` and `user:<subject>`. */
  readonly from: readonly string[];
  /** Distinct people who must approve. */
  readonly count: number;
  readonly escalate?: Escalation;
}

export type TierPeople =
  | { readonly reviewers: readonly string[]; readonly count: number; readonly escalate?: Escalation }
  | { readonly require: readonly Need[] };

/** What a tier needs, with the place of each need below the tier in the file. */
export function needsOf(tier: TierPeople): readonly (Need & { readonly at: readonly (string | number)[] })[] {
  if ('require' in tier) return tier.require.map((need, index) => ({ ...need, at: ['require', index] }));
  const { reviewers, count, escalate } = tier;
  return [{ from: reviewers, count, ...(escalate && { escalate }), at: [] }];
}

/** Whether the need is for the owners of what a call concerns. */
export const asksOwner = ({ from }: Pick<Need, 'from'>): boolean => from.includes(OWNER);

/** Everybody whom a tier names, now or after an escalation; owners are named elsewhere. */
export const peopleOf = (tier: TierPeople): readonly string[] =>
  needsOf(tier).flatMap(({ from, escalate }) => [...from.filter((one) => one !== OWNER), ...(escalate?.to ?? [])]);

/** The names of the tiers that seats belong to, each once. */
export const tiersOf = (seats: readonly { readonly tier: string }[]): readonly string[] => [
  ...new Set(seats.map(({ tier }) => tier)),
];
