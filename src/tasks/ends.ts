// Ends tasks whose intended time is over, with all below them: their holds in the store's transaction, their streams and
// credentials after it. Calls under such a task are refused from the very moment; this puts the rest into effect.

import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { TaskStore } from '../domain/task.ts';
import { asGatewayError } from '../errors.ts';

export interface EndsParts {
  readonly tasks: Pick<TaskStore, 'endDue'>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
  /** Cuts the streams of tasks that have ended, and takes back what was minted for them. */
  stop(taskIds: readonly string[]): Promise<boolean>;
}

const LOOK_EVERY_MS = 1_000;

export function startTaskEnds({ tasks, audit, clock, log, stop }: EndsParts): { close(): void } {
  let looking = false;
  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    try {
      for (const { task, ids } of await tasks.endDue()) {
        await stop(ids);
        const { id, root, revision, provenance, agentKey } = task;
        const record = { verb: 'ended', task: id, root, revision, provenance, principal: agentKey, because: 'endsBy' };
        await audit.append('task', clock.now(), record, 'fsync');
      }
    } catch (thrown) {
      log.error('tasks.ends_failed', { cause: asGatewayError(thrown) });
    } finally {
      looking = false;
    }
  }
  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  return { close: () => clearInterval(timer) };
}
