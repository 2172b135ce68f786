// What is known of a call when it is decided: what the gateway was configured with, verified or counted. Words of the
// agent are not facts.

import type { Classification } from './classification.ts';

/**
 * Facts that are looked up for a call, because what happened before decides: the calls of its task, marks, meters, and
 * what is new. A condition that reads one makes the body be read before the decision.
 */
export type HistoryFact = 'history' | 'tainted' | 'meter' | 'novel';

export interface Facts {
  readonly classification: Classification;
}
