// The kill switch in SQLite. Suspensions in force are kept in memory too, from before the write until after the lift:
// while disk and memory differ, the stricter one applies. Suspending closes the open holds that it covers, in the same
// transaction. The store's clock ends those that have an end.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../domain/clock.ts';
import type { CloseHold } from '../domain/hold.ts';
import {
  keyOf,
  keysOf,
  keysOfStopped,
  type Stopped,
  type Suspended,
  type Suspension,
  type SuspensionStore,
  stops,
} from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import type { HoldRows } from './sqlite-holds.ts';
import type { Announce, SqliteWriter } from './sqlite-writer.ts';

export interface SqliteSuspensions extends SuspensionStore {
  /** The key of this id is known from now on. */
  learn(id: string): void;
}

export function createSuspensionStore(
  db: DatabaseSync,
  writer: SqliteWriter,
  holds: HoldRows,
  close: CloseHold,
  clock: Clock,
): SqliteSuspensions {
  const insert = db.prepare('INSERT INTO suspension (id, record) VALUES (?, ?)');
  const end = db.prepare('UPDATE suspension SET lifted_at = ?, lifted_by = ? WHERE id = ? AND lifted_at IS NULL');
  const inForce = new Map<string, Suspension>();
  /** Of each key, the suspension that lasts longest. */
  const byKey = new Map<string, Suspension>();

  let agentKeyOf: (id: string) => string | undefined = () => undefined;

  /** With the key that its agent has now. */
  const keyed = (what: Suspended): Stopped => {
    if (!('principal' in what)) return what;
    const agentKey = agentKeyOf(what.principal);
    return agentKey === undefined || agentKey === what.principal ? what : { ...what, agentKey };
  };
  const add = (suspension: Suspension): void => {
    inForce.set(suspension.id, suspension);
    for (const key of new Set([...keysOfStopped(suspension), ...keysOfStopped(keyed(suspension))])) {
      const known = byKey.get(key);
      if (known === undefined || endOf(known) < endOf(suspension)) byKey.set(key, suspension);
    }
  };
  const addAgain = (): void => {
    byKey.clear();
    for (const suspension of [...inForce.values()]) add(suspension);
  };
  const remove = ({ id }: Suspension): void => {
    if (inForce.delete(id)) addAgain();
  };
  const lasting = (key: string): Suspension | undefined => {
    const found = byKey.get(key);
    return found !== undefined && clock.now() < endOf(found) ? found : undefined;
  };
  for (const row of db.prepare('SELECT record FROM suspension WHERE lifted_at IS NULL ORDER BY seq').all())
    add(JSON.parse(String(row.record)));

  function closeHolds(suspension: Suspension, announce: Announce): number {
    const because = `Suspended by ${suspension.by}: ${suspension.reason}`;
    const closed = holds
      .open((hold) => stops(suspension, keysOf(hold)))
      .map((hold) => holds.update(hold, close(hold, { type: 'revoke', because }, clock.now()), announce));
    return closed.filter(({ state }) => state === 'REVOKED').length;
  }

  return {
    covering(call) {
      if (byKey.size === 0) return undefined;
      for (const key of keysOf(call)) {
        const found = lasting(key);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    async suspend(what, order) {
      const there = lasting(keyOf(what));
      const known = there !== undefined && endOf(order) <= endOf(there) ? there : undefined;
      const suspension = known ?? newSuspension(keyed(what), { ...order, at: clock.now() });
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
    rekey(next) {
      agentKeyOf = next;
      addAgain();
    },
    learn(id) {
      if (byKey.has(keyOf({ principal: id }))) addAgain();
    },
    list: () => [...inForce.values()].filter((suspension) => clock.now() < endOf(suspension)).reverse(),
    over: () => [...inForce.values()].filter((suspension) => clock.now() >= endOf(suspension)),
  };
}

const endOf = ({ until = Number.POSITIVE_INFINITY }: Pick<Suspension, 'until'>): number => until;

function newSuspension(what: Stopped, order: Omit<Suspension, 'id'>): Suspension {
  return { ...what, ...order, id: `susp_${randomBytes(16).toString('base64url')}` };
}
