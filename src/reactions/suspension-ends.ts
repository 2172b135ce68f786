// Suspensions that end by themselves: from its end on a suspension covers nothing, whether or not anybody looks. This
// takes it off the list, and puts its end on record.

import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import { type SuspensionStore, suspendedOf } from '../domain/suspension.ts';
import { asGatewayError } from '../errors.ts';

export interface SuspensionEndsOptions {
  readonly suspensions: Pick<SuspensionStore, 'over' | 'lift'>;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface SuspensionEnds {
  /** For the timer, and for tests. Never rejects. */
  look(): Promise<void>;
  /** Ends with the look in progress. */
  close(): Promise<void>;
}

const EVERY_MS = 1_000;

export function startSuspensionEnds({ suspensions, audit, clock, log }: SuspensionEndsOptions): SuspensionEnds {
  let looking: Promise<void> | undefined;

  async function endAll(): Promise<void> {
    for (const suspension of suspensions.over()) {
      const what = suspendedOf(suspension);
      await audit.append('suspension', clock.now(), { verb: 'ended', ...what, suspension: suspension.id }, 'soon');
      await suspensions.lift(suspension.id, 'its end');
      log.info('countersign.suspension.ended', { suspension: suspension.id, ...what });
    }
  }

  function look(): Promise<void> {
    looking ??= endAll()
      .catch((thrown: unknown) => log.error('suspensions.not_ended', { error: asGatewayError(thrown).code }))
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  const timer = setInterval(() => void look(), EVERY_MS).unref();
  return {
    look,
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}
