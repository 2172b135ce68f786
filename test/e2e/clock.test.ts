// The system's clock is set back under a running gateway, and between two runs: what was to end ends all the same.
// Kind: a deadline that is judged by a clock which somebody sets (an NTP step, a resumed machine, an operator).

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

const set = (folder: string, byMs: number) => writeFileSync(join(folder, 'shift'), String(byMs));

const it = freshGatewayTest
  .extend('env', async ({ folder, environment }) => {
    set(folder, 0);
    return environment(
      {
        tiers: { payment: { reviewers: ['group:finance'], decideWithin: '3s', useWithin: '3s' } },
        limits: { wait: '0s' },
      },
      {
        env: {
          E2E_CLOCK_SHIFT_FILE: join(folder, 'shift'),
          NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, '../support/shifted-clock.ts')).href}`,
        },
      },
    );
  })
  .extend('alice', ({ env }) => env.reviewer('alice'));

const hold = async (env: Environment) => (await env.transfer({ amount: 1 })).headers.get('countersign-hold') ?? '';
const becomes = (alice: ReviewerClient, id: string, state: string) =>
  expect.poll(async () => (await alice.show(id)).state, { timeout: 30_000 }).toBe(state);
const readiness = async (env: Environment) => {
  const response = await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`);
  return [response.status, ((await response.json()) as { clock: boolean }).clock];
};

describe('a system clock that goes back', { timeout: 120_000 }, () => {
  it('prolongs nothing: not an approval, not the time to decide, not a token; it is logged, and the gateway is not ready until it agrees', async ({
    folder,
    env,
    alice,
  }) => {
    const [token] = [await env.token('agent-1', { exp: Math.floor(Date.now() / 1000) + 4 })];
    const headers = { authorization: `Bearer ${token}` };
    expect((await env.call('/api/x', { headers })).status).toBe(200);
    const approved = await hold(env);
    await alice.approve(approved);
    const undecided = await (await env.transfer({ amount: 2 })).headers.get('countersign-hold');
    set(folder, -600_000);
    expect(await env.logged('clock.set_back')).toMatchObject({ level: 'error' });
    expect(await readiness(env)).toEqual([503, false]);
    await becomes(alice, approved, 'EXPIRED');
    await becomes(alice, undecided ?? '', 'EXPIRED');
    await expect.poll(async () => (await env.call('/api/x', { headers })).status, { timeout: 30_000 }).toBe(401);
    expect((await env.transfer({ amount: 1 })).headers.get('countersign-hold')).toBe(approved);
    expect(env.upstream.requests.filter(({ method }) => method === 'POST')).toEqual([]);
    set(folder, 0);
    await env.logged('clock.agrees');
    expect(await readiness(env)).toEqual([200, true]);
  });

  it('opens nothing again that had run out, when it went back while the gateway was down', async ({
    folder,
    env,
    alice,
  }) => {
    const approved = await hold(env);
    await alice.approve(approved);
    await becomes(alice, approved, 'EXPIRED');
    const open = await (await env.transfer({ amount: 2 })).headers.get('countersign-hold');
    const { deadline } = (await alice.show(open ?? '')) as unknown as { deadline: string };
    await env.kill();
    set(folder, -600_000);
    await env.start();
    expect((await alice.show(approved)).state).toBe('EXPIRED');
    // Its time goes on from where it was, and does not begin ten minutes earlier.
    await becomes(alice, open ?? '', 'EXPIRED');
    expect(Date.now() - Date.parse(deadline)).toBeLessThan(60_000);
    expect((await readiness(env))[0]).toBe(503);
  });
});
