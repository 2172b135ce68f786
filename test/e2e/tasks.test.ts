// Tasks from outside: an agent's own statement of what it does, to which approvals are bound, and whose history
// conditions read.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered, approveTransfer, holdTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment({
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.deny(
          'no-transfer-after-secrets',
          { upstream: 'api', methods: ['POST'], path: '/transfers' },
          { when: 'has(task.id) && task.calls.exists(c, c.path == "/secrets" && c.status == 200)' },
        ),
        rule.allow(
          'notes',
          { upstream: 'api', methods: ['POST'], path: '/notes' },
          { when: '"chatty" in task.labels' },
        ),
        rule.deny(
          'third-note',
          { upstream: 'api', methods: ['POST'], path: '/notes' },
          { when: 'task.calls.filter(c, c.path == "/notes" && c.decision == "allow").size() >= 2' },
        ),
      ],
      limits: { wait: '20s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

it.afterEach(({ env }) => env.upstream.respond((_request, response) => response.end('{"ok":true}')));

const WORDS = { objective: 'pay the invoices of June', plan: ['read them', 'pay them'], labels: ['finance'] };

async function open(env: Environment, words: object = WORDS, as = 'agent-1') {
  const { status, json, headers } = await answered(
    env.call('/countersign/v1/tasks', { method: 'POST', body: words, as }),
  );
  expect(status).toBe(201);
  expect(headers.get('location')).toBe(`/countersign/v1/tasks/${json.id}`);
  return String(json.id);
}

const on = (task: string, more: CallOptions = {}) => ({
  ...more,
  headers: { 'countersign-task': task, ...more.headers },
});
const task = (env: Environment, id: string, method: string, options: CallOptions = {}) =>
  answered(env.call(`/countersign/v1/tasks/${id}`, { method, ...options }));

describe('a task', () => {
  it('begins with revision 1, counts its revisions, and ends', async ({ env }) => {
    const id = await open(env);
    expect((await task(env, id, 'GET')).json).toMatchObject({ id, revision: 1, ...WORDS });
    const words = { objective: 'pay one', plan: [], labels: [] };
    expect((await task(env, id, 'PUT', { body: words })).json).toMatchObject({ id, revision: 2, ...words });
    expect((await task(env, id, 'DELETE')).json).toMatchObject({ id, revision: 2, endedAt: expect.any(String) });
    expect(await task(env, id, 'DELETE')).toMatchObject({ status: 200 });
    expect(await task(env, id, 'PUT', { body: words })).toMatchObject({ status: 409, code: 'task_ended' });
  });

  it('takes null for a member that is not given', async ({ env }) => {
    const opened = await answered(
      env.call('/countersign/v1/tasks', { method: 'POST', body: { objective: 'pay', plan: null, labels: null } }),
    );
    expect(opened).toMatchObject({ status: 201, json: { revision: 1 } });
  });

  it.for([
    ['without an objective', { plan: [] }],
    ['with a member that is not known', { ...WORDS, revision: 9 }],
    ['with a label that is no word', { ...WORDS, labels: ['a b'] }],
    ['with a plan that is no list', { ...WORDS, plan: 'all of it' }],
  ] as const)('%s is refused', async ([_name, words], { env }) => {
    expect(await answered(env.call('/countersign/v1/tasks', { method: 'POST', body: words }))).toMatchObject({
      status: 400,
      code: 'bad_request',
    });
  });

  it('is shown to reviewers with its words as they were, and its calls', async ({ env, alice }) => {
    const id = await open(env);
    await (await env.call('/api/invoices', on(id))).text();
    const hold = await holdTransfer(env, payment(), on(id));
    const calls = [{ upstream: 'api', method: 'GET', path: '/invoices', decision: 'allow', status: 200 }];
    expect((await alice.show(hold)).task).toMatchObject({ id, revision: 1, ...WORDS, calls });
  });
});

describe('another agent', () => {
  it('finds no task of somebody else, under any method or in a call', async ({ env }) => {
    const id = await open(env);
    const as = 'agent-2';
    for (const [method, body] of [['GET'], ['PUT', WORDS], ['DELETE']] as const) {
      expect(await task(env, id, method, { as, ...(body && { body }) })).toMatchObject({
        status: 404,
        code: 'task_not_found',
      });
    }
    const before = env.upstream.requests.length;
    expect(await transferNow(env, payment(), on(id, { as }))).toMatchObject({ status: 404, code: 'task_not_found' });
    expect(await answered(env.call('/api/accounts', on(id, { as })))).toMatchObject({
      status: 404,
      code: 'task_not_found',
    });
    expect(env.upstream.requests.length).toBe(before);
    expect((await task(env, id, 'GET')).json).toMatchObject({ revision: 1 });
  });
});

describe('the field Countersign-Task', () => {
  it.for(['', ' ', 'task_unknown', '../../tasks', "' OR 1=1 --"])('with %j names no task', async (id, { env }) => {
    const before = env.upstream.requests.length;
    expect(await transferNow(env, payment(), on(id))).toMatchObject({ status: 404, code: 'task_not_found' });
    expect(env.upstream.requests.length).toBe(before);
  });

  it('is compared exactly', async ({ env }) => {
    const id = await open(env);
    expect(await transferNow(env, payment(), on(id.toUpperCase()))).toMatchObject({
      status: 404,
      code: 'task_not_found',
    });
    expect(await transferNow(env, payment(), on(`${id}, ${id}`))).toMatchObject({
      status: 404,
      code: 'task_not_found',
    });
  });
});

describe('the end of a task', () => {
  it('takes back what waits and what is approved, and lets no further call through', async ({ env, alice }) => {
    const id = await open(env);
    const [pending, approved] = [payment(), payment()];
    const before = env.upstream.requests.length;
    const approvedHold = await approveTransfer(env, alice, approved, on(id));
    const { hold } = await alice.expect('PENDING');
    const waiting = answered(env.transfer(pending, on(id)));
    const pendingHold = await hold;
    expect((await task(env, id, 'DELETE')).status).toBe(200);
    expect(await waiting).toMatchObject({ status: 403, code: 'approval_revoked', hold: pendingHold });
    expect((await alice.show(approvedHold)).state).toBe('REVOKED');
    expect(await transferNow(env, approved, on(id))).toMatchObject({ status: 409, code: 'task_ended' });
    expect(await answered(env.call('/api/accounts', on(id)))).toMatchObject({ status: 409, code: 'task_ended' });
    expect(env.upstream.requests.length).toBe(before);
  });
});

describe('a revision of a task', () => {
  it('voids what waits under the old one while the agent waits for it', async ({ env, alice }) => {
    const id = await open(env);
    const { hold } = await alice.expect('PENDING');
    const before = env.upstream.requests.length;
    const waiting = answered(env.transfer(payment(), on(id)));
    const held = await hold;
    await task(env, id, 'PUT', { body: { ...WORDS, plan: ['pay somebody else'] } });
    expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: held });
    expect((await answered(alice.vote(held, 'approve'))).code).toBe('hold_closed');
    expect(env.upstream.requests.length).toBe(before);
  });
});

describe('the calls of a task', () => {
  it('are what conditions read: two notes are allowed, the third is not, and another task begins anew', async ({
    env,
  }) => {
    const words = { ...WORDS, labels: ['chatty'] };
    const id = await open(env, words);
    const note = async (taskId: string) =>
      (await answered(env.call('/api/notes', on(taskId, { method: 'POST', body: { text: 'hello' } })))).status;
    expect([await note(id), await note(id), await note(id), await note(await open(env, words))]).toEqual([
      200, 200, 403, 200,
    ]);
  });

  it('count each other when they are made at once', async ({ env }) => {
    const id = await open(env, { ...WORDS, labels: ['chatty'] });
    const note = () => answered(env.call('/api/notes', on(id, { method: 'POST', body: { text: 'hello' } })));
    const before = env.upstream.requests.length;
    const answers = await Promise.all(Array.from({ length: 20 }, note));
    expect(env.upstream.requests.length).toBe(before + 2);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
  });

  it('let no call without a task pass a condition that reads the task', async ({ env }) => {
    const before = env.upstream.requests.length;
    expect((await answered(env.call('/api/notes', { method: 'POST', body: { text: 'hello' } }))).status).toBe(403);
    expect(env.upstream.requests.length).toBe(before);
  });

  it('hold a call as soon as its answer begins: what streams slowly is not outrun', async ({ env }) => {
    const id = await open(env);
    let end = () => {};
    env.upstream.respond((_request, response) => {
      response.write('the first half of a secret');
      end = () => response.end();
    });
    const secrets = await env.call('/api/secrets', on(id));
    await secrets.body?.getReader().read();
    const before = env.upstream.requests.length;
    expect(await transferNow(env, payment(), on(id))).toMatchObject({ status: 403, code: 'denied' });
    expect(env.upstream.requests.length).toBe(before);
    end();
  });

  it('that were made while a transfer waited count at its release', async ({ env, alice }) => {
    const id = await open(env);
    const { hold } = await alice.expect('PENDING');
    const body = payment();
    const waiting = answered(env.transfer(body, on(id)));
    const held = await hold;
    await (await env.call('/api/secrets', on(id))).text();
    const before = env.upstream.requests.length;
    await alice.approve(held);
    expect(await waiting).toMatchObject({ status: 403, code: 'approval_invalidated', hold: held });
    expect(await transferNow(env, body, on(id))).toMatchObject({ status: 403, code: 'denied' });
    expect(env.upstream.requests.length).toBe(before);
  });
});

describe('a denial inside a task', () => {
  it('is remembered for the identical call, whatever the revision or the Idempotency-Key, and troubles nobody again', async ({
    env,
    alice,
  }) => {
    const id = await open(env);
    const body = payment();
    const before = env.upstream.requests.length;
    const denied = await holdTransfer(env, body, on(id));
    await alice.deny(denied);
    const told = { status: 403, code: 'approval_denied', hold: denied };
    expect(await transferNow(env, body, on(id))).toMatchObject(told);
    expect(await transferNow(env, body, on(id, { headers: { 'idempotency-key': 'again' } }))).toMatchObject(told);
    await task(env, id, 'PUT', { body: { ...WORDS, plan: ['try once more'] } });
    expect(await transferNow(env, body, on(id))).toMatchObject(told);
    expect((await alice.list()).some((hold) => (hold.task as { id: string } | undefined)?.id === id)).toBe(false);
    // Another transfer of the same task is another question.
    expect((await transferNow(env, payment(), on(id))).code).toBe('approval_pending');
    expect(env.upstream.requests.length).toBe(before);
  });
});
