// The kill switch in SQLite. Suspensions in force are kept in memory too, from before the write until after the lift:
// while disk and memory differ, the stricter one applies. Suspending closes the open holds that it covers, in the same
// transaction.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { CloseHold } from '../domain/hold.ts';
import type { Suspended, Suspension, SuspensionStore } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

export function createSuspensionStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  holds: HoldRows,
  close: CloseHold,
  clock: Clock,
): SuspensionStore {
  const insert = db.prepare('INSERT INTO suspension (id, record) VALUES (?, ?)');
  const end = db.prepare('UPDATE suspension SET lifted_at = ?, lifted_by = ? WHERE id = ? AND lifted_at IS NULL');
  const inForce = new Map<string, Suspension>();
  const byKey = new Map<string, Suspension>();

  const add = (suspension: Suspension): void => {
    inForce.set(suspension.id, suspension);
    byKey.set(keyOf(suspension), suspension);
  };
  const remove = (suspension: Suspension): void => {
    inForce.delete(suspension.id);
    if (byKey.get(keyOf(suspension)) === suspension) byKey.delete(keyOf(suspension));
  };
  for (const row of db.prepare('SELECT record FROM suspension WHERE lifted_at IS NULL ORDER BY seq').all())
    add(JSON.parse(String(row.record)));

  function closeHolds(suspension: Suspension, announce: Parameters<Parameters<SqliteWriter['write']>[0]>[0]): number {
    const open = 'task' in suspension ? holds.openOfTask(suspension.task) : holds.openOfParty(suspension.principal);
    const closing = { type: 'revoke', because: `Suspended by ${suspension.by}: ${suspension.reason}` } as const;
    const closed = open.map((hold) => holds.update(hold, close(hold, closing, clock.now()), announce));
    return closed.filter(({ state }) => state === 'REVOKED').length;
  }

  return {
    covering(caller, taskId) {
      if (byKey.size === 0) return undefined;
      const named =
        byKey.get(keyOf({ principal: caller.id })) ??
        (caller.spiffeId === undefined ? undefined : byKey.get(keyOf({ principal: caller.spiffeId })));
      const found = named ?? (taskId === undefined ? undefined : byKey.get(keyOf({ task: taskId })));
      return (
        found ??
        caller.onBehalfOf
          .map(({ id }) => byKey.get(keyOf({ principal: id })))
          .find((suspension) => suspension !== undefined)
      );
    },
    async suspend(what, by, reason) {
      const known = byKey.get(keyOf(what));
      const suspension = known ?? {
        ...what,
        id: `susp_${randomBytes(16).toString('base64url')}`,
        reason,
        by,
        at: clock.now(),
      };
      if (known === undefined) add(suspension);
      try {
        const revoked = await writer.write((announce) => {
          if (known === undefined) insert.run(suspension.id, JSON.stringify(suspension));
          return closeHolds(suspension, announce);
        });
        return { suspension, revoked, isNew: known === undefined };
      } catch (thrown) {
        if (known === undefined) remove(suspension);
        throw thrown;
      }
    },
    get: (id) => inForce.get(id),
    async lift(id, by) {
      const suspension = inForce.get(id);
      if (suspension === undefined) throw new GatewayError('not_found', 'No suspension of this id is in force.');
      await writer.write(() => {
        end.run(clock.now(), by, id);
      });
      remove(suspension);
      return suspension;
    },
    list: () => [...inForce.values()].reverse(),
  };
}

const keyOf = (what: Suspended): string => ('task' in what ? `task ${what.task}` : `principal ${what.principal}`);
