// Follows the configuration file. A valid change is put in force without dropping a connection or a hold. An invalid
// change is refused and logged, and the old configuration stays. The policy in force is always on record.

import type { Config } from '../config/schema.ts';
import { type ConfigWatch, watchConfig } from '../config/watch.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import { asGatewayError } from '../errors.ts';
import { checkPolicy } from '../policy/check.ts';
import { type ConfigError, formatFaults } from '../settings/faults.ts';
import type { LiveConfig } from './live-config.ts';

export interface ReloadParts {
  readonly live: LiveConfig;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
}

export function followConfig(path: string, since: Config, { live, audit, clock, log }: ReloadParts): ConfigWatch {
  const refused = (reason: string): void =>
    log.error('config.refused', { reason, policy: live.runtime().policy.digest });

  async function replace(next: Config): Promise<void> {
    try {
      const stuck = await live.replace(next);
      if (stuck.length > 0) return refused(`Changes of ${stuck.join(', ')} need a restart; nothing was changed.`);
      const { digest } = live.runtime().policy;
      log.info('config.reloaded', { policy: digest });
      await audit.append('config', clock.now(), { policyDigest: digest }, 'fsync');
    } catch (thrown) {
      refused(asGatewayError(thrown).detail);
    }
  }

  // One at a time, in order: two quick edits must not overtake each other.
  let queue = Promise.resolve();
  return watchConfig(
    path,
    {
      since,
      onChange(next) {
        queue = queue.then(() => replace(next));
      },
      onRefused: (error: ConfigError) => refused(formatFaults(error)),
    },
    checkPolicy,
  );
}
