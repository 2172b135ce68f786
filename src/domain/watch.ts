// Human on the loop: calls that a rule let pass, or denied, and wants looked at. Written before the call is sent or
// refused, together with its notices.

import type { Digest } from './action.ts';
import type { EpochMs } from './clock.ts';
import type { Task } from './task.ts';

/** A call that passed. Names and digests, never arguments or bodies. */
export interface PassedCall {
  /** `pass_` and random bits. */
  readonly id: string;
  readonly at: EpochMs;
  /** Absent: it passed. */
  readonly outcome?: 'denied';
  readonly principalId: string;
  /** Absent where the id is the key. */
  readonly agentKey?: string;
  readonly onBehalfOf: readonly string[];
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly tool?: string;
  readonly actionDigest: Digest;
  readonly rules: readonly string[];
  readonly task?: Pick<Task, 'id' | 'revision' | 'objective'> & Partial<Pick<Task, 'root'>>;
  readonly data?: string;
  readonly reversible?: boolean;
  readonly traceId?: string;
}

export interface PassedCallPage {
  readonly passed: readonly PassedCall[];
  readonly next?: string;
}

/** Keeps the latest 10,000, and the latest 1,000 of one agent. Errors: `store_unavailable`. */
export interface WatchStore {
  /** Durable when it resolves, with its notice for each channel in the same transaction (see NoticeKind). */
  record(passed: Omit<PassedCall, 'id' | 'at'>, channels: readonly string[]): Promise<PassedCall>;
  /** Newest first. `after` is the `next` of the page before; limit 1 to 200, default 50. */
  list(query: { readonly limit?: number; readonly after?: string }): Promise<PassedCallPage>;
}
