// A human who decides. Comes from a verified sign-in at the reviewers' plane, never from an agent's token.

import type { EpochMs } from './clock.ts';

export interface Reviewer {
  /** `<issuer>#<subject>`. */
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  /** What the `personClaim` of the sign-in says; absent where none is configured. Compared by domain/person.ts. */
  readonly person?: string;
  /** For display only; never compared. */
  readonly name?: string;
  readonly groups: readonly string[];
  /**
   * When the person last signed in (`auth_time`), where the issuer says and the sign-in is strong enough for step-up.
   */
  readonly authenticatedAt?: EpochMs;
  /** Authentication context and methods (`acr`, `amr`), where the issuer says. */
  readonly acr?: string;
  readonly amr?: readonly string[];
}

/** A person as tiers name people: what decides whether they may vote. */
export type Voter = Pick<Reviewer, 'id' | 'subject' | 'person' | 'groups'>;

/**
 * Which sign-ins are strong enough for step-up: one of these `acr`, and one of these `amr`, where listed. Empty: any.
 */
export interface StepUp {
  readonly acr: readonly string[];
  readonly amr: readonly string[];
}

/** Of a sign-in that is too weak for step-up the time is not kept: no tier takes it for fresh. */
export function isStrong({ acr, amr = [] }: Pick<Reviewer, 'acr' | 'amr'>, wanted: StepUp): boolean {
  const inContext = wanted.acr.length === 0 || (acr !== undefined && wanted.acr.includes(acr));
  return inContext && (wanted.amr.length === 0 || wanted.amr.some((method) => amr.includes(method)));
}
