// Telling people that something waits for them: what is said, and the outbox that keeps it until it has been delivered.
// A notice names a link, a code and a tier. It never carries arguments, and nothing that comes back from a channel
// carries authority.

import type { EpochMs } from './clock.ts';
import type { Hold } from './hold.ts';
import { tiersOf } from './tier.ts';

export type NoticeKind =
  /** A call waits for a decision. */
  | 'hold.opened'
  /** Nobody decided within `tiers.X.escalate.after`: the second group may now. */
  | 'hold.escalated'
  /** A call was sent and nobody knows whether it took effect. */
  | 'hold.outcome_unknown'
  /**
   * A rule with `decide: allow` and `notify` let a call pass; within a minute of the last such notice, several calls
   * are one.
   */
  | 'call.passed'
  /** A rule with `decide: deny` and `notify` denied a call; counted as passed calls are. */
  | 'call.denied'
  /** An entry under `violations` was reached; counted in the same way. */
  | 'violations.reached';

export interface Notice {
  readonly kind: NoticeKind;
  /** The id of the hold, of the passed or denied call, or of the suspension; of `violations`, the entry. */
  readonly subject: string;
  /** The first characters of the digest that the page and the terminal show too. */
  readonly code: string;
  /** The tiers of a hold by comma; `watch` for a passed or denied call; the entry under `violations`. */
  readonly tier: string;
  /**
   * Except of holds: how many events this notice stands for, where they are several. `subject` and `code` are those of
   * the first.
   */
  readonly count?: number;
}

export type NotificationState = 'PENDING' | 'DELIVERED' | 'DEAD';

/** One notice for one channel. */
export interface Notification extends Notice {
  /** `msg_` and random bits: the same at every attempt, so that a receiver can tell a repetition. */
  readonly id: string;
  /** A name under `notifications.channels`. */
  readonly channel: string;
  readonly state: NotificationState;
  /** Attempts that failed. */
  readonly attempts: number;
  readonly createdAt: EpochMs;
  /** When it is to be tried next, while PENDING. */
  readonly dueAt: EpochMs;
  readonly endedAt?: EpochMs;
  /** Why the last attempt failed: a sentence of the gateway's own, never what the channel answered. */
  readonly lastError?: string;
}

export interface NotificationQuery {
  /** Default: all. */
  readonly state?: NotificationState;
  /** At most this many, newest first; default 50, largest 200. */
  readonly limit?: number;
}

/**
 * The transactional outbox. Rows come into being in the transaction of what they tell of (HoldStore, WatchStore).
 * Errors: `store_unavailable`.
 */
export interface NotificationOutbox {
  /**
   * PENDING ones whose time has come, those of holds before all others and then oldest first, without those of these
   * ids and those for these channels.
   */
  due(
    limit: number,
    except: { readonly ids: readonly string[]; readonly channels: readonly string[] },
  ): Promise<readonly Notification[]>;
  delivered(id: string): Promise<void>;
  /** Counts the attempt. Without `retryAt` it is DEAD. */
  failed(id: string, error: string, retryAt: EpochMs | undefined): Promise<void>;
  list(query: NotificationQuery): Promise<readonly Notification[]>;
  /** A DEAD one becomes PENDING again, with its id and its attempts. Throws `not_found`. */
  revive(id: string): Promise<Notification>;
}

/** What a committed change of a hold has people told, and through which channels. */
export function noticeOf(hold: Hold, before: Hold | undefined): Notice | undefined {
  const kind = kindOf(hold, before);
  return (
    kind && {
      kind,
      subject: hold.id,
      code: shortCode(hold.bindingDigest),
      tier: tiersOf(hold.requirements).join(', '),
    }
  );
}

function kindOf(hold: Hold, before: Hold | undefined): NoticeKind | undefined {
  if (before === undefined) return 'hold.opened';
  if (hold.state === 'OUTCOME_UNKNOWN' && before.state !== 'OUTCOME_UNKNOWN') return 'hold.outcome_unknown';
  if (hold.state === 'PENDING' && (hold.escalations ?? 0) > (before.escalations ?? 0)) return 'hold.escalated';
  return undefined;
}

/** The code by which people compare what they were told with what they look at. */
export const shortCode = (digest: string): string => digest.slice(0, 6);
