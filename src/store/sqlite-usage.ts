// What each agent has in the store. Bytes are counted by triggers (schema-steps.ts), in the transaction that writes them.

import type { DatabaseSync } from 'node:sqlite';
import type { EpochMs } from '../domain/clock.ts';
import type { AgentUsage } from '../domain/hold-store.ts';

const HOUR_MS = 60 * 60_000;

export interface UsageRows {
  of(agentKey: string, now: EpochMs): AgentUsage;
  openTasks(agentKey: string): number;
  storedBytes(agentKey: string): number;
}

export function createUsageRows(db: DatabaseSync): UsageRows {
  const pending = db.prepare(
    "SELECT count(*) AS n FROM hold WHERE agent_key = ? AND state = 'PENDING' AND deadline > ?",
  );
  const lastHour = db.prepare(
    `SELECT count(*) AS n, min(created_at) AS first FROM hold INDEXED BY hold_created
     WHERE agent_key = ? AND created_at > ?`,
  );
  const open = db.prepare(
    'SELECT count(*) AS n FROM task INDEXED BY task_open WHERE principal_id = ? AND ended_at IS NULL',
  );
  const stored = db.prepare('SELECT bytes FROM stored WHERE principal_id = ?');
  const storedBytes = (agentKey: string): number => Number(stored.get(agentKey)?.bytes ?? 0);
  return {
    of(agentKey, now) {
      const hour = lastHour.get(agentKey, now - HOUR_MS);
      return {
        pending: Number(pending.get(agentKey, now)?.n),
        lastHour: Number(hour?.n),
        ...(hour?.first != null && { firstOfHour: Number(hour.first) }),
        storedBytes: storedBytes(agentKey),
      };
    },
    openTasks: (agentKey) => Number(open.get(agentKey)?.n),
    storedBytes,
  };
}
