// Single uses in SQLite. Kind: a fact that decides "once", kept where a restart or a crash forgets it.

import { spawn } from 'node:child_process';
import { once as event } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeHold } from '../../src/approvals/closing.ts';
import { silentLog } from '../../src/domain/log.ts';
import type { OnceKind } from '../../src/domain/once.ts';
import { openSqliteStore, type Store } from '../../src/store/sqlite.ts';
import { createOnceStore } from '../../src/store/sqlite-once.ts';
import { createWriter } from '../../src/store/sqlite-writer.ts';
import { type ManualClock, manualClock } from '../support/holds/values.ts';

const KINDS: readonly OnceKind[] = [
  'dpop-proof',
  'request-state',
  'mcp-session',
  'desk-session',
  'sign-in',
  'passkey-challenge',
];
const HOLDER = fileURLToPath(new URL('../support/holds/once-holder.ts', import.meta.url));

let folder: string;
let clock: ManualClock;
let store: Store;
const path = () => join(folder, 'store.db');
const open = (): Store => openSqliteStore({ path: path(), clock, closeHold, log: silentLog });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-once-'));
  clock = manualClock();
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const use = (kind: OnceKind, id: string, ms = 60_000) => store.once.use(kind, id, clock.now() + ms);

describe('a single use', () => {
  it.each(KINDS)('of %s counts once: later, at the same time, and after a restart', async (kind) => {
    expect(await use(kind, 'a')).toBe('new');
    expect(await use(kind, 'a')).toBe('seen');
    expect((await Promise.all([use(kind, 'b'), use(kind, 'b'), use(kind, 'b')])).sort()).toEqual([
      'new',
      'seen',
      'seen',
    ]);
    await store.close();
    store = open();
    expect([await use(kind, 'a'), await use(kind, 'b'), await use(kind, 'c')]).toEqual(['seen', 'seen', 'new']);
    expect([await store.once.wasUsed(kind, 'a'), await store.once.wasUsed(kind, 'd')]).toEqual([true, false]);
  });

  it('of one kind is none of another', async () => {
    for (const kind of KINDS) expect(await use(kind, 'a')).toBe('new');
  });

  it('is remembered until it has ended and not longer, and then takes no room', async () => {
    await use('sign-in', 'a', 1_000);
    clock.advance(999);
    expect(await use('sign-in', 'a', 1_000)).toBe('seen');
    clock.advance(1);
    expect(await store.once.wasUsed('sign-in', 'a')).toBe(false);
    expect(await use('sign-in', 'a', 1_000)).toBe('new');
    for (let i = 0; i < 20; i++) await use('sign-in', `other-${i}`, 1_000);
    clock.advance(1_000);
    for (let i = 0; i < 6; i++) await use('sign-in', `late-${i}`, 1_000);
    await store.close();
    const db = new DatabaseSync(path());
    expect(db.prepare('SELECT count(*) AS n FROM used').get()).toEqual({ n: 6 });
    db.close();
    store = open();
  });

  it('is refused when no more can be remembered, kind by kind, and the bound holds over a restart', async () => {
    const small = () => {
      const db = new DatabaseSync(join(folder, 'small.db'));
      db.exec('CREATE TABLE IF NOT EXISTS used (kind TEXT, digest TEXT, until INTEGER, PRIMARY KEY (kind, digest))');
      const writer = createWriter(db, silentLog);
      return { once: createOnceStore(db, writer, clock, 2), close: () => writer.close() };
    };
    let { once, close } = small();
    const of = (id: string, kind: OnceKind = 'dpop-proof') => once.use(kind, id, clock.now() + 1_000);
    expect([await of('a'), await of('b'), await of('c'), await of('a'), await of('c', 'sign-in')]).toEqual([
      'new',
      'new',
      'full',
      'seen',
      'new',
    ]);
    await close();
    ({ once, close } = small());
    expect(await of('c')).toBe('full');
    clock.advance(1_000);
    expect([await of('c'), await of('d'), await of('e')]).toEqual(['new', 'new', 'full']);
    await close();
  });

  it('leaves nothing in the file by which the proof, the state or the session could be known', async () => {
    await use('dpop-proof', 'thumbprint-of-a-key the-jti-itself');
    await store.close();
    expect(readFileSync(path(), 'latin1')).not.toMatch(/the-jti-itself|thumbprint-of-a-key/);
    store = open();
  });

  it('is new exactly once in every order of uses and restarts', async () => {
    const step = fc.oneof(
      fc.record({ id: fc.constantFrom('x', 'y', 'z', ' x', 'X'), kind: fc.constantFrom(...KINDS) }),
      fc.constant('restart' as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.uuid(), async (steps, run) => {
        const known = new Set<string>();
        for (const each of steps) {
          if (each === 'restart') {
            await store.close();
            store = open();
            continue;
          }
          const key = `${each.kind} ${each.id}`;
          expect(await use(each.kind, `${run} ${each.id}`, 1e9)).toBe(known.has(key) ? 'seen' : 'new');
          known.add(key);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('that a process was told of survives its kill -9, whatever it was told last', async () => {
    await store.close();
    const child = spawn(process.execPath, [HOLDER, path()], { stdio: ['ignore', 'pipe', 'inherit'] });
    const told: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      told.push(line);
      if (told.length === 300) child.kill('SIGKILL');
    }
    if (child.signalCode === null) await event(child, 'exit');
    store = open();
    for (const id of told) expect([id, await use('dpop-proof', id)]).toEqual([id, 'seen']);
  });
});
