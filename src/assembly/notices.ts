// Notices to people, delivered from the outbox over the channels of the configuration in force.

import { createChannel } from '../approvals/notify/channel-types.ts';
import { startNotifier } from '../approvals/notify/worker.ts';
import { post } from '../upstream/post.ts';
import type { Foundation } from './foundation.ts';
import type { LiveConfig } from './live-config.ts';
import type { Shutdown } from './shutdown.ts';

/** For attempts to deliver that are under way at the end. What is left then is in the outbox. */
const CLOSE_WITHIN_MS = 2_000;

/** `pages` is where links lead. */
export function startNotices(
  { clock, log, metrics, store }: Foundation,
  live: LiveConfig,
  pages: string,
  shutdown: Shutdown,
): ReturnType<typeof startNotifier> {
  const notifier = startNotifier({
    ...{ clock, log, metrics },
    outbox: store.notifications,
    // Made at each delivery, so that a reload counts at once.
    channel(name) {
      const { channels } = live.config().notifications;
      const settings = Object.hasOwn(channels, name) ? channels[name] : undefined;
      return settings && createChannel(settings, { post, clock });
    },
    pages: () => pages,
  });
  shutdown.add(() => notifier.close(CLOSE_WITHIN_MS));
  shutdown.add(store.holds.subscribe(notifier.wake));
  return notifier;
}
