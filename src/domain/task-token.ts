// Task tokens: statements of an issuer under `identity.taskIssuers` about a task (draft-ietf-oauth-transaction-tokens).
// Verified by identity/; what they mean for tasks is decided in tasks/.

import type { EpochMs } from './clock.ts';
import type { Party } from './principal.ts';

/** What a token lets its task do. Absent: no bound. */
export interface TaskBounds {
  /** Ids of entries of `resources`: only calls that touch these, and no other entry. */
  readonly resources?: readonly string[];
  readonly until?: EpochMs;
  /** Calls that are sent, of the task and all below it together. */
  readonly maxCalls?: number;
}

export interface TaskToken {
  readonly issuer: string;
  /** Names the task at its issuer. */
  readonly txn: string;
  readonly expiresAt: EpochMs;
  /** Ids of the principals for whom it was made (`req_wl`, `act`). */
  readonly holders: readonly string[];
  /** The thumbprint of the key for whose holder it was made (`cnf`). */
  readonly thumbprint?: string;
  readonly objective?: string;
  /** Its subject and its owner: who is acted for. */
  readonly actsFor: readonly Party[];
  readonly bounds: TaskBounds;
}

/** What is kept of a token with the task that it attests. */
export interface Attestation extends Pick<TaskToken, 'issuer' | 'txn' | 'actsFor' | 'bounds'> {
  /** The attested task: this one, or one above it. */
  readonly task: string;
  /** Until when the issuer vouches for it, unless another token comes. */
  readonly validUntil: EpochMs;
}
