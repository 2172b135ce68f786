// How voters must prove who they are, beside being signed in. Trusts the claims of a verified sign-in as they are: an
// `acr` counts by its exact text, and a claim that is missing meets nothing.

import type { EpochMs } from './clock.ts';
import type { Requirement } from './decision.ts';
import type { Reviewer } from './reviewer.ts';

/** What a tier asks of each vote. All members that are given are needed. */
export interface Assurance {
  /** A signature of the voter's passkey over this decision on this hold. */
  readonly passkey?: true;
  /** A sign-in with one of these `acr`. */
  readonly acr?: readonly string[];
  /** A sign-in that is no older than this, or a passkey. */
  readonly maxAgeMs?: number;
}

/** What `stepUp` on a tier means. */
export const STEP_UP_MS = 5 * 60_000;
/** A clock that runs ahead at the issuer must not make a sign-in fresh for longer. */
const FUTURE_SIGN_IN_MS = 60_000;

/** What one seat asks for, `stepUp` included. */
export function assuranceOf({ stepUp, assurance }: Pick<Requirement, 'stepUp' | 'assurance'>): Assurance {
  const maxAgeMs = Math.min(stepUp ? STEP_UP_MS : Infinity, assurance?.maxAgeMs ?? Infinity);
  return { ...assurance, ...(maxAgeMs < Infinity && { maxAgeMs }) };
}

/** What all of these seats ask for together. `acr` is empty where they have none in common: no sign-in meets them. */
export function strictestOf(seats: readonly Pick<Requirement, 'stepUp' | 'assurance'>[]): Assurance {
  return seats.map(assuranceOf).reduce((all, one) => {
    const acr = all.acr === undefined ? one.acr : all.acr.filter((name) => one.acr?.includes(name) ?? true);
    const maxAgeMs = Math.min(all.maxAgeMs ?? Infinity, one.maxAgeMs ?? Infinity);
    return {
      ...((all.passkey || one.passkey) && { passkey: true }),
      ...(acr && { acr }),
      ...(maxAgeMs < Infinity && { maxAgeMs }),
    };
  }, {});
}

export type AssuranceMember = keyof Assurance;

/** The members that this voter does not meet now; `signed`: the vote is signed with a passkey. */
export function unmetBy(
  { passkey, acr, maxAgeMs }: Assurance,
  voter: Pick<Reviewer, 'acr' | 'authenticatedAt'>,
  signed: boolean,
  now: EpochMs,
): readonly AssuranceMember[] {
  const strong = acr === undefined || (voter.acr !== undefined && acr.includes(voter.acr));
  const recent = maxAgeMs === undefined || signed || isFresh(voter.authenticatedAt, now, maxAgeMs);
  return [
    ...(passkey && !signed ? (['passkey'] as const) : []),
    ...(strong ? [] : (['acr'] as const)),
    ...(recent ? [] : (['maxAgeMs'] as const)),
  ];
}

/** Whether a sign-in at this time is recent enough. */
export function isFresh(authenticatedAt: EpochMs | undefined, now: EpochMs, maxAgeMs = STEP_UP_MS): boolean {
  return (
    authenticatedAt !== undefined && now - authenticatedAt <= maxAgeMs && authenticatedAt - now <= FUTURE_SIGN_IN_MS
  );
}

/** The same as words, for people: what a vote takes. Empty when nothing is asked for. */
export function assuranceWords({ passkey, acr, maxAgeMs }: Assurance): readonly string[] {
  const since = maxAgeMs === undefined ? '' : `within the last ${minutes(maxAgeMs)}`;
  return [
    ...(passkey ? ['a passkey'] : []),
    ...(acr === undefined ? [] : [acr.length === 0 ? NO_COMMON_ACR : `a sign-in with acr ${acr.join(' or ')}`]),
    ...(maxAgeMs === undefined || passkey ? [] : [`a sign-in ${since} or a passkey`]),
  ];
}

const NO_COMMON_ACR = 'an acr that every tier lists, and there is none';

const minutes = (ms: number): string => (ms === 60_000 ? 'minute' : `${Math.round(ms / 6_000) / 10} minutes`);
