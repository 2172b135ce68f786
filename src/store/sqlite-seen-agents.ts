// The ids of agents in SQLite, written behind: known from memory at once, on disk within a second. An issuer whose ids
// change all the time fills no disk: at most 1,000 new ids of one issuer are kept a day, and an id that was not seen for
// 90 days is forgotten. What cannot be written is noted again when the id is verified the next time.

import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import { MANY_NEW_AGENTS, type SeenAgent, type SeenAgents } from '../domain/seen-agents.ts';
import { asGatewayError } from '../errors.ts';
import { noteNewAgents } from './new-agents-file.ts';
import type { SqliteWriter } from './sqlite-writer.ts';
import { WriteBehind } from './write-behind.ts';

const DAY_MS = 24 * 60 * 60_000;
const KEPT_DAYS = 90;
const NEW_IDS_PER_DAY = 1_000;
const IDS_IN_MEMORY = 10_000;

export interface SqliteSeenAgents extends SeenAgents {
  /** Writes what is still only in memory. */
  close(): Promise<void>;
}

interface Noted {
  readonly agentKey: string;
  readonly day: number;
}

export interface SeenAgentsParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Where `countersign check` looks for what it should warn of (new-agents-file.ts). */
  readonly folder: string;
  /** Told of each id whose key was not known. */
  learned(id: string): void;
}

export function createSeenAgents(
  db: DatabaseSync,
  writer: SqliteWriter,
  { clock, log, folder, learned }: SeenAgentsParts,
): SqliteSeenAgents {
  const byId = db.prepare('SELECT agent_key FROM agent_id WHERE id = ?');
  const ofKey = db.prepare('SELECT 1 FROM agent_id WHERE agent_key = ? LIMIT 1');
  const seenAgain = db.prepare('UPDATE agent_id SET agent_key = ?, seen_on = ? WHERE id = ?');
  const newToday = db.prepare(
    'SELECT count(*) AS ids, sum(is_new_agent) AS agents FROM agent_id WHERE issuer = ? AND new_on = ?',
  );
  const insert = db.prepare('INSERT INTO agent_id VALUES (:id, :issuerName, :agentKey, :day, :day, :isNewAgent)');
  const forget = db.prepare('DELETE FROM agent_id WHERE seen_on < ?');
  const memory = new LRUCache<string, Noted>({ max: IDS_IN_MEMORY });
  let unwritten: SeenAgent[] = [];
  const behind = new WriteBehind(writeAll);
  let forgotOn = 0;

  const today = (): number => Math.floor(clock.now() / DAY_MS);

  function write(agents: readonly SeenAgent[], day: number): readonly SeenAgent[] {
    if (forgotOn !== day) forget.run(day - KEPT_DAYS);
    forgotOn = day;
    return agents.filter((agent) => add(agent, day));
  }

  /** True for the agent with which its issuer has shown too many on this day. */
  function add({ id, agentKey, issuerName }: SeenAgent, day: number): boolean {
    if (byId.get(id) !== undefined) {
      seenAgain.run(agentKey, day, id);
      return false;
    }
    const { ids, agents } = newToday.get(issuerName, day) ?? {};
    if (Number(ids) >= NEW_IDS_PER_DAY) return false;
    const isNewAgent = ofKey.get(agentKey) === undefined;
    insert.run({ id, issuerName, agentKey, day, isNewAgent: Number(isNewAgent) });
    return isNewAgent && Number(agents) === MANY_NEW_AGENTS;
  }

  /** What cannot be written is forgotten, and noted again with the next sign of its agent. */
  async function writeAll(): Promise<boolean> {
    while (unwritten.length > 0) await writeSome(unwritten);
    return true;
  }

  async function writeSome(writing: readonly SeenAgent[]): Promise<void> {
    unwritten = [];
    const day = today();
    try {
      for (const { issuerName, id, agentKey } of await writer.write(() => write(writing, day))) {
        noteNewAgents(folder, issuerName, { at: clock.now(), keyed: agentKey !== id });
        log.warn('identity.many_new_agents', { issuer: issuerName, moreThan: MANY_NEW_AGENTS });
      }
    } catch (thrown) {
      for (const { id } of writing) memory.delete(id);
      log.error('store.agents_unwritten', { agents: writing.length, error: asGatewayError(thrown).code });
    }
  }

  return {
    note(agent) {
      const { id, agentKey } = agent;
      const day = today();
      const known = memory.get(id);
      if (known?.agentKey === agentKey && known.day === day) return;
      memory.set(id, { agentKey, day });
      if (known?.agentKey !== agentKey) learned(id);
      unwritten.push(agent);
      behind.schedule();
    },
    keyOf(id) {
      const known = memory.get(id)?.agentKey;
      if (known !== undefined) return known;
      try {
        const stored = writer.read(() => byId.get(id))?.agent_key;
        return stored === undefined ? undefined : String(stored);
      } catch (thrown) {
        log.error('store.agents_unread', { error: asGatewayError(thrown).code });
        return undefined;
      }
    },
    close: () => behind.close(),
  };
}
