// A task that is attested by somebody else’s token, by a token for another audience, or by being the child of an
// attested one. Kind: trust that is passed on to whoever holds or names a thing.

import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import { GATEWAY_AUDIENCE, rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { writtenBy } from '../../support/environment.ts';
import { file, gatewayTest } from '../../support/gateway-test.ts';
import { startIssuer, type TestIssuer } from '../../support/oidc-issuer.ts';
import { type Agent, get, newAgent, openTask, written } from '../../support/reads-and-sends.ts';

const it = gatewayTest
  .extend('orchestrator', file, ({ closes }) => closes(startIssuer({ clients: [{ id: 'unused', secret: 'unused' }] })))
  .extend('env', file, ({ orchestrator, environment }) =>
    environment(({ origin }) =>
      written({
        identity: { taskIssuers: [{ name: 'orchestrator', issuer: orchestrator.issuer }] },
        upstreams: {
          ledger: { url: origin, requireTask: 'attested' },
          crm: { url: origin, requireTask: true },
        },
        rules: [rule.allow('http'), rule.deny('never', { upstream: 'ledger', path: '/never' })],
        limits: { wait: '0s', pendingPerAgent: 1000 },
      }),
    ),
  );

type Claims = Readonly<Record<string, unknown>>;

/** A task token for this agent, with further claims; `undefined` leaves one out. */
const tokenFor = (issuer: TestIssuer, env: Environment, { as }: Agent, claims: Claims = {}, header: Claims = {}) =>
  issuer.sign(
    {
      aud: GATEWAY_AUDIENCE,
      txn: randomUUID(),
      sub: 'person-of-the-task',
      scope: 'support',
      act: { sub: as, iss: env.issuer.issuer },
      tctx: { objective: 'answer a customer', owner: 'orchestrator' },
      ...claims,
    },
    { typ: 'txntoken+jwt', ...header },
  );

const showing = (agent: Agent, token: string, field = 'countersign-task-token'): Agent => ({
  ...agent,
  headers: { [field]: token },
});

describe('where an attested task is required', () => {
  // Passed unseen once: nothing is required.
  it('a call without a task, and one with a declared task, are refused', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/ledger/x', agent)).toBe('task_required');
    expect(await get(env, '/ledger/x', await openTask(env, agent))).toBe('task_required');
    expect(await get(env, '/crm/x', agent)).toBe('task_required');
    expect(await get(env, '/crm/x', await openTask(env, agent))).toBe('sent');
  });

  it('a denial comes first', async ({ env }) => {
    expect(await get(env, '/ledger/never', newAgent())).toBe('denied');
  });

  it.for(['countersign-task-token', 'txn-token'])(
    'a token in %s attests it, and goes no further',
    async (field, { env, orchestrator }) => {
      const agent = newAgent();
      const token = await tokenFor(orchestrator, env, agent);
      expect(await get(env, '/ledger/attested', showing(agent, token, field))).toBe('sent');
      expect(JSON.stringify(env.upstream.requests)).not.toContain(token);
      expect(writtenBy(env)).not.toContain(token.split('.')[2]);
    },
  );

  // Passed unseen once. Whoever gets hold of a token would call under the task of somebody else.
  it('the token of somebody else is refused', async ({ env, orchestrator }) => {
    const token = await tokenFor(orchestrator, env, newAgent());
    expect(await get(env, '/ledger/x', showing(newAgent(), token))).toBe('task_token_invalid');
    expect(await get(env, '/api/x', showing(newAgent(), token))).toBe('task_token_invalid');
  });

  it('a token for the same subject of another issuer is refused', async ({ env, orchestrator }) => {
    const agent = newAgent();
    const token = await tokenFor(orchestrator, env, agent, { act: { sub: agent.as, iss: 'https://other.example' } });
    expect(await get(env, '/ledger/x', showing(agent, token))).toBe('task_token_invalid');
  });

  const BAD: Readonly<Record<string, readonly [claims: Claims, header?: Claims]>> = {
    'that names nobody': [{ act: undefined }],
    'for another audience': [{ aud: 'https://another.example' }],
    'without an end': [{ exp: undefined }],
    'that has ended': [{ exp: 1_000_000_000 }],
    'without a transaction': [{ txn: undefined }],
    'of another type': [{}, { typ: 'at+jwt' }],
  };
  it.for(Object.entries(BAD))('a token %s is refused', async ([_how, [claims, header]], { env, orchestrator }) => {
    const agent = newAgent();
    const token = await tokenFor(orchestrator, env, agent, claims, header);
    expect(await get(env, '/api/x', showing(agent, token))).toBe('task_token_invalid');
  });

  it('a token that the agents’ own issuer signed is refused', async ({ env }) => {
    const agent = newAgent();
    expect(await get(env, '/api/x', showing(agent, await tokenFor(env.issuer, env, agent)))).toBe('task_token_invalid');
  });

  // Passed unseen once. The child would be a task of the agent's own words under the name of an attested one.
  it('the child of an attested task is not attested', async ({ env, orchestrator }) => {
    const agent = newAgent();
    const token = await tokenFor(orchestrator, env, agent);
    const opened = await env.call('/countersign/v1/tasks', {
      ...{ method: 'POST', as: agent.as, headers: { 'countersign-task-token': token } },
      body: { objective: 'answer a customer', plan: [] },
    });
    expect(opened.status).toBe(201);
    const { id, root, provenance } = (await opened.json()) as { id: string; root: string; provenance: string };
    expect({ root, provenance }).toEqual({ root: id, provenance: 'attested' });
    const child = await openTask(env, agent, { parent: id });
    expect(await get(env, '/ledger/x', child)).toBe('task_required');
    expect(await get(env, '/crm/x', child)).toBe('sent');
    expect(await get(env, '/ledger/x', { ...agent, task: id })).toBe('sent');
  });

  it('words do not attest a task', async ({ env }) => {
    const agent = newAgent();
    for (const more of [{ provenance: 'attested' }, { attested: true }, { root: 'task_1' }]) {
      const body = { objective: 'x', plan: [], labels: [], ...more };
      expect((await env.call('/countersign/v1/tasks', { method: 'POST', as: agent.as, body })).status).toBe(400);
    }
    expect(await get(env, '/ledger/x', await openTask(env, agent, { labels: ['attested'] }))).toBe('task_required');
  });

  it('the bounds of the token bind the task and its children', async ({ env, orchestrator }) => {
    const agent = newAgent();
    const tctx = { objective: 'answer', owner: 'orchestrator', maxCalls: 2 };
    const token = await tokenFor(orchestrator, env, agent, { tctx });
    const call = () => get(env, '/ledger/x', showing(agent, token));
    expect([await call(), await call()]).toEqual(['sent', 'sent']);
    expect(await call()).not.toBe('sent');
  });
});

// Pinned today, and it stays: another agent finds no task of somebody else.
it('the task of somebody else is not found, also with a token of one’s own', async ({ env, orchestrator }) => {
  const agent = newAgent();
  const theirs = await openTask(env, newAgent());
  expect(await get(env, '/api/x', { ...agent, task: theirs.task ?? '' })).toBe('task_not_found');
  const token = await tokenFor(orchestrator, env, agent);
  expect(await get(env, '/ledger/x', { ...showing(agent, token) })).toBe('sent');
  const parent = { objective: 'x', plan: [], labels: [], parent: theirs.task };
  expect((await env.call('/countersign/v1/tasks', { method: 'POST', as: agent.as, body: parent })).status).toBe(404);
});
