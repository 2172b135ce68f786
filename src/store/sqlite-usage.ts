// What each agent has in the store. Bytes are counted by triggers (migrations.ts), in the transaction that writes them.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { AgentUsage } from '../domain/hold-store.ts';

const HOUR_MS = 60 * 60_000;

export interface UsageRows {
  of(principalId: string, now: EpochMs): AgentUsage;
  openTasks(principalId: string): number;
  storedBytes(principalId: string): number;
}

export function createUsageRows(db: DatabaseSync): UsageRows {
  const pending = db.prepare(
    "SELECT count(*) AS n FROM hold WHERE principal_id = ? AND state = 'PENDING' AND deadline > ?",
  );
  const lastHour = db.prepare(
    `SELECT count(*) AS n, min(created_at) AS first FROM hold INDEXED BY hold_created
     WHERE principal_id = ? AND created_at > ?`,
  );
  const open = db.prepare(
    'SELECT count(*) AS n FROM task INDEXED BY task_open WHERE principal_id = ? AND ended_at IS NULL',
  );
  const stored = db.prepare('SELECT bytes FROM stored WHERE principal_id = ?');
  const storedBytes = (principalId: string): number => Number(stored.get(principalId)?.bytes ?? 0);
  return {
    of(principalId, now) {
      const hour = lastHour.get(principalId, now - HOUR_MS);
      return {
        pending: Number(pending.get(principalId, now)?.n),
        lastHour: Number(hour?.n),
        ...(hour?.first != null && { firstOfHour: Number(hour.first) }),
        storedBytes: storedBytes(principalId),
      };
    },
    openTasks: (principalId) => Number(open.get(principalId)?.n),
    storedBytes,
  };
}
