// A process that opens the approvals over the SQLite file of its first argument, brings one hold to the state of its
// second argument, says so on stdout as one line `<state> <hold id>`, and then stays until it is killed. For crash
// tests.

import { approve, benchOn, deny, openHoldBy } from './bench.ts';
import { decisionOf, GENEROUS, manualClock, principalOf, requestOf } from './values.ts';

const [path, state, startedAt] = process.argv.slice(2);
if (path === undefined || state === undefined) throw new Error('usage: store-holder <database> <state> <time>');

const bench = benchOn(path, manualClock(Number(startedAt)), { instance: 'killed' });
const task = await bench.store.tasks.open(principalOf().id, { objective: 'o', plan: [], labels: [] }, GENEROUS);
await bench.store.credentials.intend({ id: 'cred_1', name: 'n', provider: 'p', sealed: 's', issuedAt: 1, attempts: 0 });
const hold = await openHoldBy(bench, { task, decision: decisionOf({ notify: ['soc'] }) });

async function reach(): Promise<void> {
  if (state === 'PENDING') return;
  if (state === 'DENIED') return void (await deny(bench, hold));
  await approve(bench, hold);
  if (state === 'APPROVED') return;
  const clearance = await bench.approvals.obtain(requestOf({ task }));
  if (state === 'RELEASING') return;
  await bench.approvals.markSent(clearance);
  if (state === 'SENT') return;
  await bench.approvals.settle(clearance, { known: true, status: 201 });
}

await reach();
process.stdout.write(`${(await bench.store.holds.get(hold.id))?.state} ${hold.id}\n`);
setInterval(() => {}, 60_000);
