// The ids under which agents were seen. Kinds: a store that grows with every new id, a warning that is missed, or said
// again of agents that are known, an id whose key is forgotten in a restart.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeHold } from '../../src/approvals/closing.ts';
import { readNewAgents } from '../../src/store/new-agents-file.ts';
import { openSqliteStore, type Store } from '../../src/store/sqlite.ts';
import { manualClock } from '../support/holds/values.ts';

const DAY_MS = 24 * 60 * 60_000;
let folder: string;
let store: Store;
let warned: unknown[];
const clock = manualClock();
const log = {
  debug() {},
  info() {},
  error() {},
  warn: (event: string, more?: object) => void warned.push([event, more]),
};
const open = () => openSqliteStore({ path: join(folder, 'store.db'), clock, closeHold, log });
const reopen = async (): Promise<void> => {
  await store.close();
  store = open();
};
const note = (from: number, to: number, keyOf = (id: string) => id) => {
  for (let n = from; n < to; n++) store.agents.note({ id: `id-${n}`, agentKey: keyOf(`id-${n}`), issuerName: 'corp' });
};
const rows = (): number => {
  const db = new DatabaseSync(join(folder, 'store.db'), { readOnly: true });
  const { n } = db.prepare('SELECT count(*) AS n FROM agent_id').get() ?? {};
  db.close();
  return Number(n);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-agents-'));
  warned = [];
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('ids of agents', () => {
  it('have the key that they had last, at once and after a restart', async () => {
    store.agents.note({ id: 'a', agentKey: 'k1', issuerName: 'corp' });
    expect([store.agents.keyOf('a'), store.agents.keyOf('b')]).toEqual(['k1', undefined]);
    await reopen();
    expect(store.agents.keyOf('a')).toBe('k1');
    store.agents.note({ id: 'a', agentKey: 'k2', issuerName: 'corp' });
    await reopen();
    expect(store.agents.keyOf('a')).toBe('k2');
  });

  it('are warned of once, when more than a hundred agents are new on one day', async () => {
    note(0, 100);
    await reopen();
    note(0, 100);
    await reopen();
    expect(warned).toEqual([]);
    note(100, 130);
    await reopen();
    note(0, 130);
    await reopen();
    expect(warned).toEqual([['identity.many_new_agents', { issuer: 'corp', moreThan: 100 }]]);
    expect(readNewAgents(folder).get('corp')).toEqual({ at: clock.now(), keyed: false });
  });

  it('of few agents are not warned of, and neither are new agents of many days', async () => {
    note(0, 300, () => 'one agent');
    await reopen();
    for (let day = 0; day < 5; day++) {
      clock.advance(DAY_MS);
      note(1_000 + day * 90, 1_090 + day * 90);
      await reopen();
    }
    expect(warned).toEqual([]);
  });

  it('are kept up to a thousand a day for each issuer, and forgotten after ninety days', async () => {
    note(0, 1_500);
    await store.close();
    expect(rows()).toBe(1_000);
    clock.advance(91 * DAY_MS);
    store = open();
    note(2_000, 2_001);
    await store.close();
    expect(rows()).toBe(1);
    store = open();
  });
});
