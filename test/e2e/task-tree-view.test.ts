// What reviewers see of a task that several agents work on. Kinds of fault: a reviewer who sees one call and not what the
// agents add up to; a tree that is shown to people whom it does not concern.

import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    rules: [
      rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
      rule.hold('writes', { upstream: 'api', methods: ['POST'] }, { tier: 'reviewed' }),
      rule.deny('drops', { upstream: 'api', methods: ['DELETE'] }),
    ],
    tiers: { reviewed: { reviewers: ['group:reviewers'] } },
    reviewers: { watch: ['group:watchers'] },
  }),
);

const HELPER = { act: { sub: 'helper', act: { sub: 'lead' } } };

/** A lead and its helper work on one tree: the helper reads, the lead's write is held, and its deletion is denied. */
async function workTogether(env: Environment) {
  const open = async (body: object, as: string, claims?: object) =>
    (
      await answered(
        env.call('/countersign/v1/tasks', { method: 'POST', as, body, ...(claims && { claims: { ...claims } }) }),
      )
    ).json as { readonly id: string };
  const root = await open({ objective: 'settle the claims' }, 'lead');
  const child = await open({ objective: 'collect the files', parent: root.id }, 'alice', HELPER);
  const under = (task: string) => ({ headers: { 'countersign-task': task, prefer: 'wait=0' } });
  await (await env.call('/api/files', { as: 'alice', claims: HELPER, ...under(child.id) })).text();
  await (await env.call('/api/files', { method: 'DELETE', as: 'lead', ...under(root.id) })).text();
  const held = await env.call('/api/claims', { method: 'POST', body: {}, as: 'lead', ...under(root.id) });
  return { root: root.id, child: child.id, hold: held.headers.get('countersign-hold') };
}

it('shows who did what under one root, and what it adds up to for each system', async ({ env }) => {
  const { root, child, hold } = await workTogether(env);
  const reviewer = await env.reviewer('rita', ['reviewers']);
  const [lead, helper] = ['lead', 'helper'].map((subject) => `${env.issuer.issuer}#${subject}`);
  const tree = await reviewer.read<Record<string, unknown>>(`/tasks/${child}`);
  expect(tree).toMatchObject({
    root,
    agents: [lead, helper],
    tasks: [
      { id: root, openedBy: lead, objective: 'settle the claims', provenance: 'declared' },
      { id: child, openedBy: helper, parent: root },
    ],
    reach: [{ upstream: 'api', reads: 1, changes: 0, held: 1, refused: 1, by: [lead, helper] }],
    holds: [{ id: hold, state: 'PENDING' }],
  });
  expect(tree.calls).toMatchObject([
    { agent: helper, task: child, path: '/files', operation: 'read', decision: 'allow', status: 200 },
    { agent: lead, task: root, operation: 'delete', decision: 'deny' },
    { agent: lead, task: root, operation: 'write', decision: 'hold' },
  ]);
});

it('is shown to people whom a hold of it names and to those who watch, and to nobody else', async ({ env }) => {
  const { root } = await workTogether(env);
  const statusFor = async (groups: readonly string[]) =>
    (await (await env.reviewer('some', groups)).request(`/tasks/${root}`)).status;
  expect([await statusFor(['reviewers']), await statusFor(['watchers']), await statusFor(['others'])]).toEqual([
    200, 200, 404,
  ]);
});
