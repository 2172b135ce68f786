// Where verification keys come from, as the verifiers see it. oidc-keys.ts implements it, and for SPIFFE the
// TrustBundleSource of trust-bundle.ts.

import type { EpochMs } from '../../domain/clock.ts';
import type { KeySet } from './key-set.ts';

/** The keys in force, from any kind of source. */
export interface KeyLookup {
  /**
   * The same object as long as the keys are the same. Undefined before the first keys have come, and when the last ones
   * are too old to be believed.
   */
  current(): KeySet | undefined;
  /**
   * Asks the source again because a token names a key that `current()` lacks, or because there are none; the source
   * decides whether it is time to. Resolves to the keys then in force. Never rejects.
   */
  renew(): Promise<KeySet | undefined>;
  /**
   * How long `renew` will not ask the source again, although its last answer brought other keys, so that newer keys may
   * exist by now. 0 or absent: `renew` tells what there is.
   */
  heldBackMs?(): number;
}

export interface SourceStatus {
  readonly keys: number;
  /** X.509 authorities; absent where there are none by nature. */
  readonly authorities?: number;
  readonly fetchedAt?: EpochMs;
  readonly lastError?: string;
}

export interface KeySource extends KeyLookup {
  status(): SourceStatus;
  /** Resolves after the first attempt, whatever came of it. */
  start(): Promise<void>;
  close(): void;
}
