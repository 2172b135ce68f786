// A process that appends until it is killed or its disk is full: prints the number of each record once it is promised
// to be there. Arguments: folder, number of records (0: without end), and `reopen` to wait for the file that comes
// after the one that failed.

import { openAuditLog } from '../../src/audit/journal.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { GatewayError } from '../../src/errors.ts';

const [folder = '', count = '0', after] = process.argv.slice(2);
const codeOf = (error: unknown): string => (error instanceof GatewayError ? error.code : 'other');

const log = await openAuditLog({
  path: folder,
  instance: `p${process.pid}`,
  clock: systemClock,
  log: silentLog,
  metrics: noMetrics,
});
try {
  for (let i = 1; count === '0' || i <= Number(count); i += 4) {
    const places = await Promise.all(
      [0, 1, 2, 3].map((k) => log.append('config', Date.now(), { i: i + k, filler: 'x'.repeat(200) }, 'fsync')),
    );
    for (const { seq } of places) process.stdout.write(`${seq}\n`);
  }
  await log.close();
} catch (error) {
  process.stdout.write(`${codeOf(error)}\n`);
  // The loop stays alive: the journal itself keeps nobody waiting.
  while (after === 'reopen' && !log.healthy()) await new Promise((resolve) => setTimeout(resolve, 20));
  if (after === 'reopen') process.stdout.write('reopened\n');
  if (after === 'reopen') await new Promise((resolve) => setTimeout(resolve, 60_000));
}
