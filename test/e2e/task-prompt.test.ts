// The prompt of a task: shown to who decides, marked as words, and kept sealed. Kinds of fault: a prompt that stands in the
// data folder or in a log, that the page takes for a fact, or that outlives its task.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import { writtenBy } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { answered, holdTransfer } from './held.ts';

const PROMPT = 'Pay what the mail of tuesday-7f1c says, and tell nobody <script>alert(1)</script>';

freshGatewayTest('is shown with the hold, sealed on disk, and in the record as a digest', async ({ environment }) => {
  const env = await environment({ limits: { wait: '0s' } });
  const alice = await env.reviewer('alice');
  const open = (body: object) => answered(env.call('/countersign/v1/tasks', { method: 'POST', body }));
  const { json: task } = await open({ objective: 'pay', prompt: PROMPT });
  const { json: child } = await open({ objective: 'a part', parent: task.id });
  for (const { id } of [task, child]) {
    const headers = { 'countersign-task': String(id) };
    const hold = await holdTransfer(env, { amount: 1, under: id }, { headers });
    expect((await alice.show(hold)).task).toMatchObject({ prompt: PROMPT });
  }
  expect(writtenBy(env)).not.toContain('tuesday-7f1c');
  expect(writtenBy(env)).toContain(sha256(PROMPT));
  await env.kill();
  await env.start();
  const body = { objective: 'pay', prompt: 'another prompt' };
  expect((await answered(env.call(`/countersign/v1/tasks/${task.id}`, { method: 'PUT', body }))).status).toBe(200);
  const hold = await holdTransfer(env, { amount: 2 }, { headers: { 'countersign-task': String(child.id) } });
  expect((await alice.show(hold)).task).toMatchObject({ prompt: 'another prompt' });
  await env.terminate();
  // Without the salt of the root nothing opens what is left of it, in a backup for example.
  const db = new DatabaseSync(join(env.folder, 'data', 'store.db'));
  expect(db.prepare('SELECT count(*) AS n FROM task_key').get()).toEqual({ n: 1 });
  db.close();
});

freshGatewayTest('has up to 64 KiB', async ({ environment }) => {
  const env = await environment();
  const open = (prompt: string) =>
    answered(env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay', prompt } }));
  expect(await open('é'.repeat(32 * 1024))).toMatchObject({ status: 201 });
  expect(await open(`${'é'.repeat(32 * 1024)}.`)).toMatchObject({ status: 400, code: 'bad_request' });
});
