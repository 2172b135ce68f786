// The writer against a disk that runs full: SQLite's own page limit makes a real SQLITE_FULL.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/domain/log.ts';
import { openDatabase } from '../../src/store/sqlite-file.ts';
import { createWriter, type SqliteWriter } from '../../src/store/sqlite-writer.ts';
import { codeOf } from '../support/failures.ts';

let folder: string;
let db: DatabaseSync;
let writer: SqliteWriter;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-'));
  db = openDatabase(join(folder, 'holds.db'));
  db.exec('CREATE TABLE note (text TEXT UNIQUE)');
  writer = createWriter(db, silentLog);
});
afterEach(async () => {
  await writer.close();
  rmSync(folder, { recursive: true });
});

const write = (text: string) => writer.write(() => void db.prepare('INSERT INTO note VALUES (?)').run(text));
const notes = () => writer.read(() => db.prepare('SELECT text FROM note').all().length);
const pages = (count: number) => db.exec(`PRAGMA max_page_count = ${count}`);

describe('group commit', () => {
  it('commits the writes of one turn together', async () => {
    let open = 0;
    await Promise.all(
      ['a', 'b', 'c'].map((text) =>
        writer.write(() => {
          db.prepare('INSERT INTO note VALUES (?)').run(text);
          open += db.isTransaction ? 1 : 0;
        }),
      ),
    );
    expect([open, notes(), db.isTransaction]).toEqual([3, 3, false]);
  });

  it('fails every write of a batch that the disk could not take, and works again when there is room', async () => {
    pages(1);
    const codes = await Promise.all([codeOf(write('small')), codeOf(write('x'.repeat(200_000)))]);
    expect(codes).toEqual(['store_unavailable', 'store_unavailable']);
    expect(notes()).toBe(0);
    expect(db.isTransaction).toBe(false);
    pages(1_000_000);
    await write('small');
    writer.check();
    expect(notes()).toBe(1);
  });

  it('says at the readiness check that the disk failed, until a commit succeeds', async () => {
    pages(1);
    await codeOf(write('x'.repeat(200_000)));
    db.exec('PRAGMA query_only = 1');
    expect(() => writer.check()).toThrow(/store_unavailable/);
    db.exec('PRAGMA query_only = 0');
    writer.check();
    db.exec('PRAGMA query_only = 1');
    expect(() => writer.check()).not.toThrow();
    db.exec('PRAGMA query_only = 0');
  });

  it('undoes what a write did before it threw, and keeps the others of its turn', async () => {
    const failing = writer.write(() => {
      db.prepare('INSERT INTO note VALUES (?)').run('half done');
      throw new RangeError('changed its mind');
    });
    const codes = await Promise.all([codeOf(write('a')), codeOf(failing), codeOf(write('b'))]);
    expect(codes).toEqual(['resolved', 'RangeError: changed its mind', 'resolved']);
    expect(notes()).toBe(2);
  });

  it('fails only the write whose own statement is at fault', async () => {
    const codes = await Promise.all([codeOf(write('a')), codeOf(write('a')), codeOf(write('b'))]);
    expect(codes).toEqual(['resolved', 'store_unavailable', 'resolved']);
    expect(notes()).toBe(2);
  });

  it('fails writes when the database is closed under it', async () => {
    db.close();
    expect(await codeOf(write('a'))).toBe('store_unavailable');
    expect(() => writer.check()).toThrow(/store_unavailable/);
  });

  it('survives a listener that throws, and still resolves the write', async () => {
    const heard: unknown[] = [];
    writer.subscribe(() => {
      throw new Error('a listener never throws, but this one does');
    });
    writer.subscribe((hold) => heard.push(hold.id));
    await writer.write((announce) => announce({ id: 'h' } as never, undefined));
    expect(heard).toEqual(['h']);
  });
});
