// What a task token says besides that a task is real: who may use it, for whom, and within which bounds; and the intended
// end of a task. Kinds of fault: a bound that a child, another way of naming or a restart escapes, a count that two calls
// at once pass, a person of the task who approves it, an end that nothing enforces.

import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import { GATEWAY_AUDIENCE, rule } from '../support/config.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { answered, holdTransfer } from './held.ts';

const it = gatewayTest
  .extend('tts', file, ({ closes }) => closes(startIssuer({ clients: [{ id: 'unused', secret: 'unused' }] })))
  .extend('env', file, ({ tts, environment }) =>
    environment({
      identity: { taskIssuers: [{ name: 'orchestrator', issuer: tts.issuer }] },
      resources: [
        { id: 'customers', match: { upstream: 'api', path: '/customers/*' } },
        { id: 'ledger', match: { upstream: 'api', path: '/ledger/*' } },
      ],
      rules: [
        rule.allow('all', { upstream: 'api' }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.deny('late', { upstream: 'api', path: '/late' }, { when: 'task.endsBy < now + duration("1h")' }),
        rule.deny('unattested', { upstream: 'api', path: '/attested' }, { when: '!task.attested' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 100 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

const tokenFor = (tts: TestIssuer, env: Environment, as: string, tctx: object = {}, claims: object = {}) =>
  tts.sign(
    {
      ...{ aud: GATEWAY_AUDIENCE, txn: randomUUID(), sub: 'customer-7', req_wl: `${env.issuer.issuer}#${as}` },
      ...{ tctx: { objective: 'answer a customer', ...tctx }, ...claims },
    },
    { typ: 'txntoken+jwt' },
  );

const by = (as: string, headers: Record<string, string>, more: CallOptions = {}): CallOptions => ({
  as,
  headers,
  ...more,
});
const showing = (as: string, token: string) => by(as, { 'txn-token': token });
const under = (as: string, task: string) => by(as, { 'countersign-task': task });
const code = async (env: Environment, path: string, options: CallOptions) => {
  const { status, code: problem } = await answered(env.call(path, options));
  return problem ?? String(status);
};

interface Opened {
  readonly id: string;
  readonly objective: string;
  readonly endsBy?: string;
}

async function open(env: Environment, as: string, body: object, token?: string): Promise<Opened> {
  const headers = token === undefined ? {} : { 'countersign-task-token': token };
  const { status, json, text } = await answered(
    env.call('/countersign/v1/tasks', { method: 'POST', body, as, headers }),
  );
  if (status !== 201) throw new Error(text);
  return json as unknown as Opened;
}

describe('the bounds of a task token', () => {
  it('name the resources that a call may touch: these, and nothing besides', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { resources: ['customers'] });
    expect(await code(env, '/api/customers/7', showing('bounded', token))).toBe('200');
    expect(await code(env, '/api/ledger/7', showing('bounded', token))).toBe('task_bounds');
    expect(await code(env, '/api/elsewhere', showing('bounded', token))).toBe('task_bounds');
  });

  it('bind a child, the task by its id, and the task after a crash', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { resources: ['customers'], maxCalls: 2 });
    const task = await open(env, 'bounded', { plan: ['look'] }, token);
    expect(task).toMatchObject({ objective: 'answer a customer', provenance: 'attested' });
    const child = await open(env, 'bounded', { objective: 'a part', parent: task.id });
    expect(await code(env, '/api/ledger/7', under('bounded', task.id))).toBe('task_bounds');
    expect(await code(env, '/api/ledger/7', under('bounded', child.id))).toBe('task_bounds');
    expect(await code(env, '/api/customers/7', under('bounded', child.id))).toBe('200');
    await env.kill();
    await env.start();
    expect(await code(env, '/api/customers/7', showing('bounded', token))).toBe('200');
    expect(await code(env, '/api/customers/7', under('bounded', child.id))).toBe('task_bounds');
  });

  it('let no more calls through than they say, however many come at once', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { maxCalls: 3 });
    const before = env.upstream.requests.length;
    const codes = await Promise.all(
      Array.from({ length: 12 }, () => code(env, '/api/accounts', showing('bounded', token))),
    );
    expect(codes.filter((one) => one === '200')).toHaveLength(3);
    expect(env.upstream.requests.length).toBe(before + 3);
  });

  it('count no call that a rule denies', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { maxCalls: 1, until: inSeconds(600) });
    expect(await code(env, '/api/late', showing('bounded', token))).toBe('denied');
    expect(await code(env, '/api/accounts', showing('bounded', token))).toBe('200');
  });

  it('end the task at their time', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { until: inSeconds(-1) });
    expect(await code(env, '/api/accounts', showing('bounded', token))).toBe('task_ended');
  });

  it.for([
    ['resources', 'customers'],
    ['maxCalls', '3'],
    ['maxCalls', -1],
    ['until', 'tomorrow'],
  ] as const)('that cannot be read make the token invalid: %s %j', async ([name, value], { env, tts }) => {
    const token = await tokenFor(tts, env, 'bounded', { [name]: value });
    expect(await code(env, '/api/accounts', showing('bounded', token))).toBe('task_token_invalid');
  });
});

describe('who may use a task token', () => {
  it('whom it names, and a guest of its task; nobody else', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'holder');
    expect(await code(env, '/api/accounts', showing('guest', token))).toBe('task_token_invalid');
    const { id } = await open(env, 'holder', {}, token);
    expect(await code(env, '/api/accounts', showing('guest', token))).toBe('task_token_invalid');
    const principal = `${env.issuer.issuer}#guest`;
    await env.call(`/countersign/v1/tasks/${id}/participants`, { method: 'POST', as: 'holder', body: { principal } });
    expect(await code(env, '/api/accounts', showing('guest', token))).toBe('200');
    expect(await code(env, '/api/accounts', showing('stranger', token))).toBe('task_token_invalid');
  });

  it('a sub-agent that acts for whom it names', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'lead');
    const claims = { act: { sub: 'helper', act: { sub: 'lead' } } };
    expect(await code(env, '/api/accounts', { ...showing('dora', token), claims })).toBe('200');
  });

  it('not two tokens at once', async ({ env, tts }) => {
    const headers = {
      'txn-token': await tokenFor(tts, env, 'holder'),
      'countersign-task-token': await tokenFor(tts, env, 'holder'),
    };
    expect(await code(env, '/api/accounts', by('holder', headers))).toBe('task_token_invalid');
  });
});

describe('an attested task', () => {
  it('is known to conditions, and a child of it is not attested', async ({ env, tts }) => {
    const { id } = await open(env, 'holder', {}, await tokenFor(tts, env, 'holder'));
    const child = await open(env, 'holder', { objective: 'a part', parent: id });
    expect(await code(env, '/api/attested', under('holder', id))).toBe('200');
    expect(await code(env, '/api/attested', under('holder', child.id))).toBe('denied');
  });

  it('is one task for its issuer and transaction, whoever opened it first', async ({ env, tts }) => {
    const token = await tokenFor(tts, env, 'holder');
    const first = await open(env, 'holder', {}, token);
    expect((await open(env, 'holder', { objective: 'other words' }, token)).id).toBe(first.id);
  });

  it('is not approved by the person whom its token names', async ({ env, tts, alice }) => {
    const token = await tokenFor(tts, env, 'holder', {}, { sub: 'alice' });
    const hold = await holdTransfer(env, { amount: 1 }, showing('holder', token));
    expect(await answered(alice.vote(hold, 'approve'))).toMatchObject({
      code: 'separation_of_duties',
    });
  });
});

describe('the intended end of a task', () => {
  it('is shown, is known to conditions, and is that of the task above where that comes first', async ({ env }) => {
    const endsBy = new Date(Date.now() + 600_000).toISOString();
    const task = await open(env, 'timed', { objective: 'quick', endsBy });
    expect(task.endsBy).toBe(endsBy);
    expect(await code(env, '/api/late', under('timed', task.id))).toBe('denied');
    const later = new Date(Date.now() + 6_000_000).toISOString();
    const child = await open(env, 'timed', { objective: 'a part', parent: task.id, endsBy: later });
    expect(child.endsBy).toBe(endsBy);
  });

  it('ends it, with all below it and what waits under them', async ({ env, alice }) => {
    const endsBy = new Date(Date.now() + 4_000).toISOString();
    const task = await open(env, 'timed', { objective: 'quick', endsBy });
    const child = await open(env, 'timed', { objective: 'a part', parent: task.id });
    const hold = await holdTransfer(env, { amount: 2 }, under('timed', child.id));
    const { hold: revoked } = await alice.expect('REVOKED');
    expect(await revoked).toBe(hold);
    expect(await code(env, '/api/accounts', under('timed', task.id))).toBe('task_ended');
    expect(await code(env, '/api/accounts', under('timed', child.id))).toBe('task_ended');
  });

  it.for(['soon', '2026-13-01T00:00:00Z', '2020-01-01T00:00:00Z', 7] as const)(
    '%j is none',
    async (endsBy, { env }) => {
      const body = { objective: 'quick', endsBy };
      expect(await answered(env.call('/countersign/v1/tasks', { method: 'POST', body }))).toMatchObject({
        status: 400,
        code: 'bad_request',
      });
    },
  );
});
