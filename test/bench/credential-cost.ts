// What a credential costs a call that a rule allows, in CPU time and as a ratio to a whole call of the gateway in the
// same run: having a shared one at hand, putting it on the request, and looking for it in a 1 KiB answer. `node
// test/bench/credential-cost.ts`

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import autocannon from 'autocannon';
import { createBroker } from '../../src/credentials/broker.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Credential } from '../../src/domain/credential.ts';
import { silentLog } from '../../src/domain/log.ts';
import { noMetrics } from '../../src/domain/metrics.ts';
import { scrubberFor } from '../../src/upstream/scrub/scrubber.ts';
import { allowed, callerNamed, transferAction } from '../support/clearances.ts';
import { createMemoryLedger } from '../support/memory-ledger.ts';
import { startIssuer } from '../support/oidc-issuer.ts';
import { providerOf } from '../support/providers.ts';
import { secretOf } from '../support/signing.ts';

const ROUNDS = 7;
const TIMES = 200_000;
const RESOURCE = 'https://ledger.example.org';
/** Of a call's own time; the issue's bound. */
const MOST = 0.02;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** CPU microseconds of one run of `work`, the median of several rounds. */
function costOf(work: () => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = process.cpuUsage();
    for (let i = 0; i < TIMES; i++) work();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / TIMES;
  });
  return median(rounds);
}

async function launch(file: string, ...args: string[]): Promise<{ child: ChildProcess; port: string; token: string }> {
  const child = spawn(process.execPath, [new URL(`contenders/${file}`, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, port = '', token = ''] = line.split(' ');
    if (word === 'port') return { child, port, token };
  }
  throw new Error(`${file} did not start`);
}

/** CPU microseconds of one allowed call through the gateway, as npm run bench measures it. */
async function costOfCall(): Promise<number> {
  const upstream = await launch('upstream.ts');
  const gateway = await launch('gateway.ts', `http://127.0.0.1:${upstream.port}`);
  try {
    const load = {
      url: `http://127.0.0.1:${gateway.port}/api/r7/42`,
      headers: { authorization: `Bearer ${gateway.token}` },
      connections: 64,
    };
    await autocannon({ ...load, duration: 2 });
    const before = cpuTicks(gateway.child);
    const { requests, non2xx } = await autocannon({ ...load, duration: 5 });
    if (non2xx > 0) throw new Error('the gateway refused calls');
    return ((cpuTicks(gateway.child) - before) * 10_000) / requests.total;
  } finally {
    for (const { child } of [gateway, upstream]) child.kill('SIGTERM');
  }
}

function cpuTicks({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const issuer = await startIssuer({
  clients: [{ id: 'countersign', secret: 'client-secret' }],
  resources: { [RESOURCE]: { scope: 'read', ttlSeconds: 3600 } },
});
const provider = providerOf({
  type: 'oauth-client-credentials',
  issuer: issuer.issuer,
  clientId: 'countersign',
  clientSecret: secretOf('client-secret'),
  resource: RESOURCE,
});
const broker = createBroker({
  providers: () => provider,
  ledger: createMemoryLedger(),
  seal: createSealer({ key: secretOf('seal-key-seal-key-seal-key-seal-key') }),
  clock: systemClock,
  log: silentLog,
  metrics: noMetrics,
});
const clearance = allowed({ name: 'ledger', scope: { scope: ['read'] } });
const caller = callerNamed('agent', 'token');
const credential = (await broker.issue(clearance, caller, transferAction)) as Credential;
const answer = Buffer.from(JSON.stringify({ text: 'x'.repeat(1024) }));
const field: string[] = [];

const costs = {
  'a shared credential at hand': costOf(() => {
    if (broker.issue(clearance, caller, transferAction) !== credential) throw new Error('the credential is not shared');
  }),
  'putting it on the request': costOf(() => {
    field.length = 0;
    const { injection } = credential;
    if (injection.in === 'header') field.push(injection.name, injection.value.reveal());
  }),
  'looking for it in 1 KiB of answer': costOf(() => {
    scrubberFor(credential).whole(answer);
  }),
};
if (issuer.requests('/token') !== 1) throw new Error('more than one mint');
await broker.close();
await issuer.close();

const call = await costOfCall();
for (const [name, own] of Object.entries(costs))
  console.log(
    `${name.padEnd(36)} ${((own / call) * 100).toFixed(2).padStart(6)} % of a call ${own.toFixed(3).padStart(8)} µs`,
  );
console.log(
  `${'a whole allowed call'.padEnd(36)} ${'100.00'.padStart(6)} %           ${call.toFixed(3).padStart(8)} µs`,
);
if (costs['a shared credential at hand'] > MOST * call) {
  console.error(`a cached credential costs more than ${MOST * 100} % of a call`);
  process.exitCode = 1;
}
