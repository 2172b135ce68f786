import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeHold } from '../../src/approvals/closing.ts';
import { silentLog } from '../../src/domain/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { codeOf } from '../support/failures.ts';
import { GENEROUS, manualClock } from '../support/holds/values.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-'));
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const open = (path: string) => openSqliteStore({ path, clock: manualClock(), closeHold, log: silentLog });
const words = { objective: 'o', plan: [], labels: [] };

describe('the database file', () => {
  it('is private to this user, with everything beside it', async () => {
    const store = open(join(folder, 'data', 'holds.db'));
    await store.tasks.open('p', words, GENEROUS);
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700);
    const files = readdirSync(join(folder, 'data'));
    expect(files).toContain('holds.db-wal');
    for (const name of files) expect(statSync(join(folder, 'data', name)).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it('becomes private when it was not', async () => {
    const path = join(folder, 'holds.db');
    await open(path).close();
    chmodSync(path, 0o644);
    await open(path).close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is in WAL mode with full sync, and enforces foreign keys', async () => {
    const path = join(folder, 'holds.db');
    await open(path).close();
    const db = new DatabaseSync(path);
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(() =>
      db.exec("INSERT INTO vote (hold_id, reviewer_id, decision, at, seconds) VALUES ('hold_none', 'r', 'deny', 0, 0)"),
    ).toThrow(/FOREIGN KEY/);
    db.close();
  });

  it('is refused while this process has it open already, and the first stays locked against others', async () => {
    const path = join(folder, 'holds.db');
    const first = open(path);
    expect(() => open(path)).toThrow(/two gateways never share/);
    await first.tasks.open('p', words, GENEROUS);
    expect(() => open(path)).toThrow(/two gateways never share/);
    await first.close();
    await open(path).close();
  });

  it('is refused when another program made it', () => {
    const path = join(folder, 'other.db');
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE notes (text TEXT)');
    other.close();
    expect(() => open(path)).toThrow(/did not make/);
  });

  it('is refused when it is no database, and when a newer version wrote it', async () => {
    writeFileSync(join(folder, 'text.db'), 'this is not a database, it is a text of some length'.repeat(20));
    expect(() => open(join(folder, 'text.db'))).toThrow(/store_unavailable/);
    const path = join(folder, 'holds.db');
    await open(path).close();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 999');
    db.close();
    expect(() => open(path)).toThrow(/schema 999/);
  });

  it('answers store_unavailable to everything once it is closed', async () => {
    const store = open(join(folder, 'holds.db'));
    store.check();
    const task = await store.tasks.open('p', words, GENEROUS);
    await store.close();
    expect(() => store.check()).toThrow(/store_unavailable/);
    expect(() => store.tasks.calls(task.id)).toThrow(/store_unavailable/);
    expect(await codeOf(store.tasks.open('p', words, GENEROUS))).toBe('store_unavailable');
    expect(await codeOf(store.holds.get('x'))).toBe('store_unavailable');
    expect(await codeOf(store.holds.due(1))).toBe('store_unavailable');
    expect(await codeOf(store.credentials.outstanding())).toBe('store_unavailable');
  });

  it('commits what was queued before it closes', async () => {
    const path = join(folder, 'holds.db');
    const store = open(path);
    const [task] = await Promise.all([store.tasks.open('p', words, GENEROUS), store.close()]);
    const again = open(path);
    expect(await again.tasks.get(task.id)).toEqual(task);
    await again.close();
  });
});
