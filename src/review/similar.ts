// "This keeps coming": counts how earlier holds of this kind ended, and proposes rules to copy when all of them were
// approved. For the API and the pages.

import type { Hold } from '../domain/hold.ts';
import type { HoldStore, SimilarHolds } from '../domain/hold-store.ts';

const WITHIN_MS = 30 * 24 * 60 * 60_000;

export interface SimilarParts {
  readonly holds: HoldStore;
  /** Rules as YAML to copy; undefined when there is nothing to propose. */
  propose(hold: Hold, similar: SimilarHolds): string | undefined;
}

export async function similarTo({ holds, propose }: SimilarParts, hold: Hold) {
  const similar = await holds.similar(hold, holds.now() - WITHIN_MS);
  const { approvedTimes, deniedTimes, since } = similar;
  return { approvedTimes, deniedTimes, since: new Date(since).toISOString(), proposedRules: propose(hold, similar) };
}
