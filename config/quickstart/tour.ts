// `npm run tour`: plays the agent against the running quickstart and says what a reviewer types in a second terminal.
// With --approve it plays the reviewer too, through the countersign command, so that the whole tour can run by itself.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ROOT, type Running, readRunning, stateDirOf, urlOf } from './layout.ts';
import { fetchToken } from './token.ts';

interface Answer {
  readonly status: number;
  readonly hold: string | undefined;
  readonly text: string;
}

/**
 * Plays the tour; `say` gets its lines. Throws when nothing runs, or when the transfer does not end in the ledger's
 * answer.
 */
export async function playTour(env: NodeJS.ProcessEnv, approve: boolean, say: (line: string) => void): Promise<void> {
  const running = readRunning(env);
  const call = async (method: string, path: string, wait: number, body?: unknown): Promise<Answer> => {
    const response = await fetch(urlOf(running.ports.agents) + path, {
      method,
      headers: {
        authorization: `Bearer ${await fetchToken(env, 'agent')}`,
        prefer: `wait=${wait}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      hold: response.headers.get('countersign-hold') ?? undefined,
      text: (await response.text()).trim(),
    };
  };

  say('1. A read: GET /ledger/accounts');
  show(await call('GET', '/ledger/accounts', 0), say);

  // Of its own each time: what was denied once is not asked again by sending the same.
  const transfer = {
    from: 'operations',
    to: 'suppliers',
    amount: 12,
    currency: 'EUR',
    reference: randomUUID().slice(0, 8),
  };
  say(`\n2. A transfer: POST /ledger/transfers ${JSON.stringify(transfer)}`);
  let answer = await call('POST', '/ledger/transfers', 0, transfer);
  show(answer, say);
  const { hold } = answer;
  if (answer.status !== 409 || hold === undefined) throw new Error('The transfer does not wait for approval.');

  say('\n3. Nothing was sent: a person of group finance has to approve exactly this. In a second terminal:');
  say(
    `   COUNTERSIGN_TOKEN=$(npm run -s token -- alice) COUNTERSIGN_URL=${urlOf(running.ports.reviewers)} npm run -s countersign -- holds approve ${hold}`,
  );
  const approving = approve ? approveAsAlice(env, running, hold) : Promise.resolve('');
  say('   The agent sends the identical request again and waits.');
  do answer = await call('POST', '/ledger/transfers', 50, transfer);
  while (answer.status === 409 && answer.hold === hold);
  const said = await approving;
  if (said !== '') say(said.trimEnd());

  say('\n4. The answer:');
  show(answer, say);
  say('\n5. What it left in the record, which "npm run -s countersign -- audit verify" checks:');
  // The ending is recorded after the agent has its answer.
  const records = await until(
    () => auditRecords(running.dataDir, hold),
    (found) => found.some(({ type, state }) => type === 'hold' && state !== 'PENDING'),
  );
  for (const record of records) say(`   ${renderRecord(record)}`);
  say('\n6. Its traces: the call, and the approval, linked both ways:');
  for (const line of await spans(running, hold)) say(`   ${line}`);
  if (answer.status !== 201) throw new Error('The transfer did not reach the ledger.');
}

function show({ status, hold, text }: Answer, say: (line: string) => void): void {
  say(`   ${status}${hold === undefined ? '' : ` Countersign-Hold: ${hold}`}`);
  say(`   ${text}`);
}

async function approveAsAlice(env: NodeJS.ProcessEnv, running: Running, hold: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'src/main.ts'), 'holds', 'approve', hold, '--yes'],
    {
      env: {
        ...env,
        COUNTERSIGN_TOKEN: await fetchToken(env, 'alice'),
        COUNTERSIGN_URL: urlOf(running.ports.reviewers),
      },
    },
  );
  return stdout.replace(/^/gm, '   ');
}

type AuditRecord = Record<string, unknown> & { readonly seq: number; readonly time: string; readonly type: string };

function auditRecords(dataDir: string, hold: string): AuditRecord[] {
  const folder = join(dataDir, 'audit');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line.includes(hold))
    .map((line) => JSON.parse(line) as AuditRecord);
}

/** The members that tell the story; the line itself has more. */
function renderRecord({ seq, time, type, ...rest }: AuditRecord): string {
  const effect = (rest.decision as { effect?: string } | undefined)?.effect;
  const facts = {
    phase: rest.phase,
    state: rest.state,
    reviewer: rest.reviewer,
    effect: effect ?? rest.effect,
    status: rest.status,
  };
  const shown = Object.entries(facts).filter(([, value]) => value !== undefined);
  return [`seq=${seq}`, time, type, ...shown.map(([name, value]) => `${name}=${value}`)].join(' ');
}

/** The spans of this hold's two traces, once the last one has arrived; none where traces go elsewhere. */
async function spans({ dataDir }: Running, hold: string): Promise<string[]> {
  const path = join(stateDirOf(dataDir), 'traces.log');
  if (!existsSync(path)) return ['they go where the OTEL_* variables say'];
  // Spans are sent in batches: the last one may be seconds away.
  const lines = await until(
    () => readFileSync(path, 'utf8').split('\n'),
    (found) => found.some((line) => line.includes('countersign.release') && line.includes(hold)),
  );
  const traceIds = new Set(lines.flatMap((line) => (line.includes(hold) ? [/ trace=(\w+)/.exec(line)?.[1]] : [])));
  return lines.filter((line) => traceIds.has(/ trace=(\w+)/.exec(line)?.[1]));
}

/** Reads until it is complete, for ten seconds at most. */
async function until<T>(read: () => T, complete: (value: T) => boolean): Promise<T> {
  let value = read();
  for (let tries = 0; tries < 50 && !complete(value); tries++) {
    await delay(200);
    value = read();
  }
  return value;
}

if (import.meta.main) {
  playTour(process.env, process.argv.includes('--approve'), (line) => console.log(line)).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
