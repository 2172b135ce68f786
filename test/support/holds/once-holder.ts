// A process that uses things up, one after the other and several at a time, and says each only when it may take effect.
// It ends by being killed.

import { writeSync } from 'node:fs';
import { closeHold } from '../../../src/approvals/closing.ts';
import { silentLog } from '../../../src/domain/log.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';

const [, , path = ''] = process.argv;
// The times of the test that looks afterwards: what is used here is far from its end there.
const clock = { now: () => 1_800_000_000_000 };
const { once } = openSqliteStore({ path, clock, closeHold, log: silentLog });

async function run(lane: number): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${lane}-${i}`;
    if ((await once.use('dpop-proof', id, clock.now() + 3_600_000)) === 'new') writeSync(1, `${id}\n`);
  }
}
await Promise.all([0, 1, 2].map(run));
