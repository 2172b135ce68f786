// Trees of tasks from outside, with agents of one issuer whose tokens name a chain of actors. Kinds of fault: a sub-agent
// that cannot use its lead's task, an outsider that can, a history that a new task or a child escapes, a child that works on
// after its parent's end.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { CallOptions, Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    rules: [
      rule.allow('all', { upstream: 'api' }),
      rule.deny(
        'nothing-after-secrets',
        { upstream: 'api', methods: ['POST'] },
        { when: 'has(task.id) && task.calls.exists(c, c.path == "/secrets")' },
      ),
    ],
  }),
);

const WORDS = { objective: 'close the books of June' };
const under = (task: string, as: string, claims?: CallOptions['claims']): CallOptions => ({
  as,
  ...(claims && { claims }),
  headers: { 'countersign-task': task },
});
/** A call by `helper`, which works for `lead`, which works for alice. */
const AS_HELPER = ['alice', { act: { sub: 'helper', act: { sub: 'lead' } } }] as const;

const post = (env: Environment, path: string, body: object, as: string, claims?: CallOptions['claims']) =>
  answered(env.call(`/countersign/v1/tasks${path}`, { method: 'POST', body, as, ...(claims && { claims }) }));

async function open(env: Environment, body: object = {}, as = 'lead', claims?: CallOptions['claims']) {
  const { status, json } = await post(env, '', { ...WORDS, ...body }, as, claims);
  expect(status).toBe(201);
  return json as { readonly id: string; readonly root: string; readonly parent?: string };
}

const idOf = (env: Environment, subject: string) => `${env.issuer.issuer}#${subject}`;

describe('a tree of tasks', () => {
  it('tells of each task its root, its parent and its provenance', async ({ env }) => {
    const root = await open(env);
    expect(root).toMatchObject({ id: root.id, revision: 1, root: root.id, provenance: 'declared' });
    expect(root).not.toHaveProperty('parent');
    const child = await open(env, { parent: root.id });
    expect(child).toMatchObject({ root: root.id, parent: root.id, provenance: 'declared' });
    expect(await open(env, { parent: child.id })).toMatchObject({ root: root.id, parent: child.id });
  });

  it('is grown by sub-agents that act for who opened it, and by no other agent', async ({ env }) => {
    const root = await open(env);
    const [subject, claims] = AS_HELPER;
    expect(await open(env, { parent: root.id }, subject, claims)).toMatchObject({ root: root.id });
    expect(await post(env, '', { ...WORDS, parent: root.id }, 'outsider')).toMatchObject({
      status: 404,
      code: 'task_not_found',
    });
  });

  it('has one history: what a child did counts for its root, for siblings and for guests', async ({ env }) => {
    const root = await open(env);
    const child = await open(env, { parent: root.id });
    const [subject, claims] = AS_HELPER;
    expect((await env.call('/api/notes', { method: 'POST', body: {}, ...under(root.id, 'lead') })).status).toBe(200);
    await (await env.call('/api/secrets', under(child.id, 'lead'))).text();
    const fresh = await open(env, { parent: root.id });
    for (const [task, as, acting] of [
      [root.id, 'lead', undefined],
      [fresh.id, 'lead', undefined],
      [root.id, subject, claims],
    ] as const) {
      const write = env.call('/api/notes', { method: 'POST', body: {}, ...under(task, as, acting) });
      expect(await answered(write)).toMatchObject({ status: 403, code: 'denied' });
    }
  });

  it('ends downwards', async ({ env }) => {
    const root = await open(env);
    const child = await open(env, { parent: root.id });
    const [subject, claims] = AS_HELPER;
    const grandchild = await open(env, { parent: root.id }, subject, claims);
    expect((await env.call(`/countersign/v1/tasks/${root.id}`, { method: 'DELETE', as: 'lead' })).status).toBe(200);
    for (const [task, as] of [
      [child.id, 'lead'],
      [grandchild.id, 'helper'],
    ] as const)
      expect(await answered(env.call('/api/accounts', under(task, as)))).toMatchObject({ code: 'task_ended' });
    expect(await post(env, '', { ...WORDS, parent: child.id }, 'lead')).toMatchObject({ code: 'task_ended' });
  });
});

describe('a guest', () => {
  it('takes part in calls and opens children, once it was invited', async ({ env }) => {
    const { id } = await open(env);
    const call = () => answered(env.call('/api/accounts', under(id, 'guest')));
    expect(await call()).toMatchObject({ status: 404, code: 'task_not_found' });
    expect(await post(env, `/${id}/participants`, { principal: idOf(env, 'guest') }, 'lead')).toMatchObject({
      status: 201,
    });
    expect(await call()).toMatchObject({ status: 200 });
    expect(await open(env, { parent: id }, 'guest')).toMatchObject({ root: id });
  });

  it('invites nobody, changes nothing and ends nothing', async ({ env }) => {
    const { id } = await open(env);
    await post(env, `/${id}/participants`, { principal: idOf(env, 'guest') }, 'lead');
    for (const [method, path, body] of [
      ['POST', `/${id}/participants`, { principal: idOf(env, 'third') }],
      ['PUT', `/${id}`, WORDS],
      ['DELETE', `/${id}`, undefined],
    ] as const) {
      const attempt = env.call(`/countersign/v1/tasks${path}`, { method, as: 'guest', ...(body && { body }) });
      expect(await answered(attempt)).toMatchObject({ status: 404, code: 'task_not_found' });
    }
  });

  it.for([['no name'], ['a bare subject', 'guest'], ['no text', 7]] as const)(
    'of whom the invitation gives %s is refused',
    async ([_what, principal], { env }) => {
      const { id } = await open(env);
      expect(await post(env, `/${id}/participants`, { principal }, 'lead')).toMatchObject({
        status: 400,
        code: 'bad_request',
      });
    },
  );
});
