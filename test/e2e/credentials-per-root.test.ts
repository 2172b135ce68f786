// Shared credentials of allowed calls, by task tree, and credentials for one call each. Kinds of fault: a token that
// outlives the task it was for, one that two tasks share, one that stays after a change.

import { describe, expect } from 'vitest';
import { credential, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startIssuer } from '../support/oidc-issuer.ts';

const it = gatewayTest
  .extend('mint', file, ({ closes }) =>
    closes(
      startIssuer({
        clients: [{ id: 'gateway', secret: 'gateway-secret' }],
        resources: { 'urn:bank': { scope: 'pay' } },
      }),
    ),
  )
  .extend('env', file, ({ environment, mint }) =>
    environment(
      ({ origin }) => ({
        upstreams: { bank: { url: origin, credential: 'minted' } },
        credentials: { minted: credential.clientCredentials(mint.issuer, 'urn:bank') },
        rules: [
          rule.allow('reads', { upstream: 'bank', methods: ['GET', 'POST'] }),
          rule.allow('changes', { upstream: 'bank', methods: ['POST'] }, { mint: 'perCall' }),
        ],
        reviewers: { killSwitch: ['group:soc'] },
      }),
      { env: { MINT_SECRET: 'gateway-secret' } },
    ),
  );

async function openTask(env: Environment, parent?: string): Promise<string> {
  const body = { objective: 'work', ...(parent !== undefined && { parent }) };
  const response = await env.call('/countersign/v1/tasks', { method: 'POST', body });
  return ((await response.json()) as { id: string }).id;
}
async function tokenFor(env: Environment, task?: string, method = 'GET'): Promise<string> {
  const before = env.upstream.requests.length;
  const headers = task === undefined ? {} : { 'countersign-task': task };
  expect((await env.call('/bank/accounts', { method, headers })).status).toBe(200);
  return (await env.upstream.arrived(before)).headers.authorization?.replace('Bearer ', '') ?? '';
}

describe('a shared credential', () => {
  it('belongs to a tree of tasks, and ends with its root', async ({ env, mint }) => {
    const root = await openTask(env);
    const child = await openTask(env, root);
    const other = await openTask(env);
    const [first, second, third, none] = [
      await tokenFor(env, root),
      await tokenFor(env, child),
      await tokenFor(env, other),
      await tokenFor(env),
    ];
    expect(second).toBe(first);
    expect(new Set([first, third, none]).size).toBe(3);
    await env.call(`/countersign/v1/tasks/${root}`, { method: 'DELETE' });
    expect([await mint.isActive(first), await mint.isActive(third), await mint.isActive(none)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('is taken back with a suspension of its task, its agent, or its upstream', async ({ env, mint }) => {
    const sam = await env.reviewer('sam', ['soc']);
    for (const target of ['task', 'upstream', 'everything']) {
      const task = await openTask(env);
      const token = await tokenFor(env, task);
      const what = target === 'task' ? { task } : target === 'upstream' ? { upstream: 'bank' } : { everything: true };
      const response = await sam.post('/suspensions', { ...what, reason: 'odd' });
      const { id, credentialsRevoked } = (await response.json()) as { id: string; credentialsRevoked: boolean };
      expect([target, credentialsRevoked, await mint.isActive(token)]).toEqual([target, true, false]);
      await sam.request(`/suspensions/${id}`, { method: 'DELETE' });
    }
  });
});

describe('mint: perCall', () => {
  it('wins over the other rules that match: each call has its own, which ends with it', async ({ env, mint }) => {
    const tokens = [await tokenFor(env, undefined, 'POST'), await tokenFor(env, undefined, 'POST')];
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) await expect.poll(() => mint.isActive(token)).toBe(false);
  });
});
