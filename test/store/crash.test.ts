// kill -9 at each state of the machine: a child process gets there and is killed by its pid, and the next process finds
// what was promised.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeHold } from '../../src/approvals/closing.ts';
import { silentLog } from '../../src/domain/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { codeOf } from '../support/failures.ts';
import { benchOn } from '../support/holds/bench.ts';
import { manualClock, requestOf } from '../support/holds/values.ts';

const HOLDER = fileURLToPath(new URL('../support/holds/store-holder.ts', import.meta.url));
const START = 1_800_000_000_000;

let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-'));
});
afterEach(async () => {
  await kill();
  rmSync(folder, { recursive: true });
});

async function kill(): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Runs a process to this state and leaves it running, with the file open. */
async function processIn(state: string): Promise<{ readonly path: string; readonly holdId: string }> {
  const path = join(folder, 'holds.db');
  const started = spawn(process.execPath, [HOLDER, path, state, String(START)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = started;
  const [line] = (await once(createInterface({ input: started.stdout }), 'line')) as [string];
  const [reached, holdId = ''] = line.split(' ');
  expect(reached).toBe(state);
  return { path, holdId };
}

describe('after kill -9', () => {
  it.each([
    ['PENDING', 'PENDING', 'approval_pending'],
    ['APPROVED', 'APPROVED', 'resolved'],
    ['RELEASING', 'EXPIRED', 'approval_expired'],
    ['SENT', 'OUTCOME_UNKNOWN', 'outcome_unknown'],
    ['EXECUTED', 'EXECUTED', 'approval_pending'],
    ['DENIED', 'DENIED', 'approval_denied'],
  ])('a hold in %s is found in %s, and the same request is answered by %s', async (before, after, code) => {
    const { path, holdId } = await processIn(before);
    await kill();
    const bench = benchOn(path, manualClock(START + 1_000), { instance: 'next' });
    try {
      expect((await bench.store.holds.get(holdId))?.state).toBe(before);
      await bench.approvals.start();
      const hold = await bench.store.holds.get(holdId);
      expect(hold?.state).toBe(after);
      expect(bench.errors).toEqual(after === 'OUTCOME_UNKNOWN' ? ['hold.outcome_unknown'] : []);
      expect(bench.audit.filter(({ record }) => record.hold === holdId).map(({ record }) => record.state)).toEqual(
        after === before ? [] : [after],
      );
      const told = (await bench.store.notifications.list({})).map(({ kind, subject, state: delivery }) => [
        kind,
        subject,
        delivery,
      ]);
      expect(told.at(-1)).toEqual(['hold.opened', holdId, 'PENDING']);
      expect(told.length).toBe(after === 'OUTCOME_UNKNOWN' ? 2 : 1);
      expect(await bench.store.credentials.outstanding()).toMatchObject([{ id: 'cred_1' }]);
      const task = await bench.store.tasks.get(hold?.task?.id ?? '');
      if (task === undefined) throw new Error('the task is gone');
      expect(await codeOf(bench.approvals.obtain(requestOf({ task })))).toBe(code);
    } finally {
      bench.approvals.close();
      await bench.store.close();
    }
  });

  it('a second gateway is refused while the first one lives, and let in when it is dead', async () => {
    const { path } = await processIn('PENDING');
    const open = () => openSqliteStore({ path, clock: manualClock(START), closeHold, log: silentLog });
    expect(open).toThrow(/Another process has the store .* open/);
    await kill();
    await open().close();
  });
});
