// Delivers the notifications of the outbox, each at least once: a row ends only after its receiver has answered, so a
// crash in between delivers it again, with the same id. A failed delivery is tried again with growing delays; after the
// last one the notification is dead, and shown as such. Trusts nothing of a receiver's answer but its status. No
// channel waits for another.

import type { Clock } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import type { Metrics } from '../../domain/metrics.ts';
import type { NoticeKind, Notification, NotificationOutbox } from '../../domain/notification.ts';
import { asGatewayError } from '../../errors.ts';
import type { Channel, Delivery } from './channel.ts';

export interface NotifierOptions {
  readonly outbox: NotificationOutbox;
  /** The channel that is configured under a name now; undefined when it is gone. */
  channel(name: string): Channel | undefined;
  /** Where the reviewers' pages are, without a trailing slash. */
  pages(): string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'notified'>;
  /**
   * Delays before the second and later attempts, ms; the last attempt follows the last delay. Default: 2 s to 2 h,
   * eight attempts in about 3 hours.
   */
  readonly delaysMs?: readonly number[];
}

export interface Notifier {
  /** Looks at the outbox now. Call it after a notification was written. */
  wake(): void;
  /** Starts no more attempts, and waits for those in progress, at most `withinMs`. The rest stays in the outbox. */
  close(withinMs: number): Promise<void>;
}

const DELAYS_MS = [2_000, 10_000, 60_000, 300_000, 900_000, 2_700_000, 7_200_000];
const POLL_MS = 1_000;
const BATCH = 100;
/** Attempts in progress per channel, so that a channel that does not answer does not stop the others. */
const PER_CHANNEL = 4;
/** How many of these may be of one kind that agents can cause in number; the others are always free for holds. */
const DIGESTS_PER_CHANNEL = 1;

export function startNotifier(options: NotifierOptions): Notifier {
  const { outbox, clock, log, metrics } = options;
  const delays = options.delaysMs ?? DELAYS_MS;
  const inFlight = new Map<
    string,
    { readonly channel: string; readonly kind: NoticeKind; readonly done: Promise<void> }
  >();
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function look(): Promise<void> {
    for (let took = 1; (took > 0 || again) && !closed; ) {
      again = false;
      took = 0;
      // Asks only for channels with room, so that the backlog of one never hides the notifications of another.
      const due = await outbox.due(BATCH, { ids: [...inFlight.keys()], channels: fullChannels() });
      for (const notification of due) {
        if (closed || !hasRoom(notification.channel) || !hasRoomFor(notification)) continue;
        take(notification);
        took++;
      }
    }
  }

  const attemptsFor = (channel: string): number =>
    [...inFlight.values()].filter((each) => each.channel === channel).length;
  const hasRoom = (channel: string): boolean => attemptsFor(channel) < PER_CHANNEL;
  const hasRoomFor = ({ channel, kind }: Notification): boolean =>
    kind.startsWith('hold.') ||
    [...inFlight.values()].filter((each) => each.channel === channel && each.kind === kind).length <
      DIGESTS_PER_CHANNEL;
  const fullChannels = (): string[] =>
    [...new Set([...inFlight.values()].map(({ channel }) => channel))].filter((channel) => !hasRoom(channel));

  function take(notification: Notification): void {
    const done = attempt(notification)
      .catch((thrown: unknown) => {
        // After `close` the store is closed: the row stays as it was, and the next process tries again.
        if (!closed)
          log.error('notify.outbox_failed', { notification: notification.id, error: asGatewayError(thrown).code });
      })
      .then(() => {
        inFlight.delete(notification.id);
        wake();
      });
    inFlight.set(notification.id, { channel: notification.channel, kind: notification.kind, done });
  }

  async function attempt(notification: Notification): Promise<void> {
    const { id, channel, attempts } = notification;
    const delivery = await deliver(notification);
    if (delivery.kind === 'delivered') {
      metrics.notified(channel, 'delivered');
      return outbox.delivered(id);
    }
    const delayMs = delivery.kind === 'hopeless' ? undefined : delays[attempts];
    metrics.notified(channel, delayMs === undefined ? 'dead' : 'failed');
    if (delayMs === undefined)
      log.error('notify.dead', { notification: id, channel, attempts: attempts + 1, reason: delivery.error });
    const wait =
      delayMs === undefined
        ? undefined
        : Math.max(jitter(delayMs), delivery.kind === 'failed' ? (delivery.afterMs ?? 0) : 0);
    return outbox.failed(id, delivery.error, wait === undefined ? undefined : clock.now() + wait);
  }

  async function deliver(notification: Notification): Promise<Delivery> {
    const channel = options.channel(notification.channel);
    if (channel === undefined) return { kind: 'hopeless', error: 'No channel of this name is configured.' };
    const page = pageOf(notification);
    try {
      return await channel({ notification, link: options.pages() + page });
    } catch (thrown) {
      return { kind: 'failed', error: `The receiver could not be reached: ${faultName(thrown)}.` };
    }
  }

  function wake(): void {
    if (closed) return;
    again = true;
    looking ??= look()
      .catch((thrown: unknown) => log.error('notify.outbox_failed', { error: asGatewayError(thrown).code }))
      .finally(() => {
        looking = undefined;
      });
  }

  const timer = setInterval(wake, POLL_MS).unref();
  wake();
  return {
    wake,
    async close(withinMs) {
      closed = true;
      clearInterval(timer);
      const late = Promise.withResolvers<void>();
      const alarm = setTimeout(late.resolve, withinMs);
      await Promise.race([Promise.all([looking, ...[...inFlight.values()].map(({ done }) => done)]), late.promise]);
      clearTimeout(alarm);
    },
  };
}

function pageOf({ kind, subject }: Notification): string {
  if (kind === 'violations.reached') return '/suspensions';
  return kind.startsWith('hold.') ? `/holds/${subject}` : '/watch';
}

/** Plus or minus a fifth, so that deliveries that failed together are not tried again together. */
const jitter = (ms: number): number => Math.round(ms * (0.8 + Math.random() * 0.4));

/** A code or a class name; never a message, which may contain a URL, and with it a secret. */
function faultName(thrown: unknown): string {
  const { code, cause } = thrown as { code?: unknown; cause?: { code?: unknown } };
  if (typeof code === 'string') return code;
  if (typeof cause?.code === 'string') return cause.code;
  return thrown instanceof Error ? thrown.name : 'unknown';
}
