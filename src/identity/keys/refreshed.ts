// Something that is read again and again from its source, and believed for a bounded time after the last good read: the
// half that files (watched-file.ts) and documents over the network (polled.ts) have in common.

import type { EpochMs } from '../../domain/clock.ts';
import type { SourceStatus } from './key-source.ts';

export interface Refreshed<T> {
  /**
   * The same object as long as the source says the same. Undefined before the first good read, and when the last good
   * read is too long ago.
   */
  current(): T | undefined;
  /** Asks the source again, where it is time to. Resolves to what is then in force. Never rejects. */
  renew(): Promise<T | undefined>;
  /** As in KeyLookup. */
  heldBackMs(): number;
  readonly fetchedAt: EpochMs | undefined;
  readonly lastError: string | undefined;
  /** Resolves after the first attempt, whatever came of it. */
  start(): Promise<void>;
  close(): void;
}

/** What /readyz says of a source: the counts, and how the last read went. */
export function statusOf(counts: { readonly keys: number; readonly authorities?: number }, source: Refreshed<unknown>) {
  const { fetchedAt, lastError } = source;
  return {
    ...counts,
    ...(fetchedAt !== undefined && { fetchedAt }),
    ...(lastError !== undefined && { lastError }),
  } satisfies SourceStatus;
}
