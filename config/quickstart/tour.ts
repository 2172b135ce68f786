// `npm run tour`: plays the agent against the running quickstart and says what a reviewer types in a second terminal.
// With --approve it plays the reviewer too, through the countersign command, so that the whole tour can run by itself.

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, type Running, readRunning, stateDirOf, urlOf } from './layout.ts';
import { fetchToken } from './token.ts';

const TRANSFER = { from: 'operations', to: 'suppliers', amount: 1200, currency: 'EUR' };

interface Answer {
  readonly status: number;
  readonly hold: string | undefined;
  readonly text: string;
}

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
    return { status: response.status, hold: response.headers.get('countersign-hold') ?? undefined, text: (await response.text()).trim() };
  };

  say('1. A read: GET /ledger/accounts');
  show(await call('GET', '/ledger/accounts', 0), say);

  say(`\n2. A transfer: POST /ledger/transfers ${JSON.stringify(TRANSFER)}`);
  let answer = await call('POST', '/ledger/transfers', 0, TRANSFER);
  show(answer, say);
  const { hold } = answer;
  if (hold === undefined) throw new Error('The transfer was not held; is config/quickstart.yaml as it was?');

  say('\n3. Nothing was sent: a person of group finance has to approve exactly this. In a second terminal:');
  say(`   COUNTERSIGN_TOKEN=$(npm run -s token -- alice) COUNTERSIGN_URL=${urlOf(running.ports.reviewers)} npm run -s countersign -- holds approve ${hold}`);
  const approving = approve ? approveAsAlice(env, running, hold) : Promise.resolve('');
  say('   The agent sends the identical request again and waits.');
  do answer = await call('POST', '/ledger/transfers', 50, TRANSFER);
  while (answer.status === 409 && answer.hold === hold);
  say((await approving).trimEnd());

  say('\n4. The answer:');
  show(answer, say);
  say('\n5. The record of it:');
  for (const line of auditLines(running.dataDir, hold)) say(`   ${line}`);
  say(`\n6. Its traces are in ${join(stateDirOf(running.dataDir), 'traces.log')}; the record is checked by`);
  say(`   npm run -s countersign -- audit verify ${join(running.dataDir, 'audit')}`);
}

function show({ status, hold, text }: Answer, say: (line: string) => void): void {
  say(`   ${status}${hold === undefined ? '' : ` Countersign-Hold: ${hold}`}`);
  say(`   ${text}`);
}

async function approveAsAlice(env: NodeJS.ProcessEnv, running: Running, hold: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'src/main.ts'), 'holds', 'approve', hold, '--yes'], {
    env: { ...env, COUNTERSIGN_TOKEN: await fetchToken(env, 'alice'), COUNTERSIGN_URL: urlOf(running.ports.reviewers) },
  });
  return stdout.replace(/^/gm, '   ');
}

function auditLines(dataDir: string, hold: string): string[] {
  const dir = join(dataDir, 'audit');
  const lines = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.jsonl'))
    .flatMap((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8').split('\n'));
  return lines.filter((line) => line.includes(hold));
}

if (import.meta.main) {
  playTour(process.env, process.argv.includes('--approve'), (line) => console.log(line)).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
