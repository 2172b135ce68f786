// What a configuration gives to calls. A reload makes a new one; a call that waits is judged again by the newest.

import type { Policy } from './decision.ts';
import type { Identity } from './identity.ts';
import type { Mount } from './mount.ts';

export interface RuntimeConfig {
  readonly identity: Identity;
  readonly policy: Policy;
  readonly mounts: ReadonlyMap<string, Mount>;
  /** How long the marks of each taint last, ms. */
  readonly taints: ReadonlyMap<string, number>;
  /** How long what an agent has done is known. */
  readonly noveltyWindowMs: number;
  /** Longest wait of a held call. */
  readonly waitMs: number;
  /** Most calls of one agent that may be under way. */
  readonly callsPerAgent: number;
  /** Largest body of a call that may be held. */
  readonly heldBodyBytes: number;
  /** Most that the store keeps of one agent. */
  readonly storedBytesPerAgent: number;
}
