// The system's clock is set back under a running gateway, and between two runs: what was to end ends all the same.
// Kind: a deadline that is judged by a clock which somebody sets (an NTP step, a resumed machine, an operator).

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';

let folder: string;
let env: Environment;
let alice: ReviewerClient;
const set = (byMs: number) => writeFileSync(join(folder, 'shift'), String(byMs));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-clock-'));
  set(0);
  env = await startEnvironment({
    tiers: '{ payment: { reviewers: ["group:finance"], decideWithin: 3s, useWithin: 3s } }',
    limits: '{ wait: 0s }',
    env: {
      E2E_CLOCK_SHIFT_FILE: join(folder, 'shift'),
      NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, '../support/shifted-clock.ts')).href}`,
    },
  });
  alice = await env.reviewer('alice');
});
afterEach(async () => {
  await env.close();
  rmSync(folder, { recursive: true });
});

const hold = async () => (await env.transfer({ amount: 1 })).headers.get('countersign-hold') ?? '';
const becomes = (id: string, state: string) =>
  expect.poll(async () => (await alice.show(id)).state, { timeout: 30_000 }).toBe(state);
const readiness = async () => {
  const response = await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`);
  return [response.status, ((await response.json()) as { clock: boolean }).clock];
};

describe('a system clock that goes back', { timeout: 120_000 }, () => {
  it('prolongs nothing: not an approval, not the time to decide, not a token; it is logged, and the gateway is not ready until it agrees', async () => {
    const [token] = [await env.token('agent-1', { exp: Math.floor(Date.now() / 1000) + 4 })];
    const headers = { authorization: `Bearer ${token}` };
    expect((await env.call('/api/x', { headers })).status).toBe(200);
    const approved = await hold();
    await alice.approve(approved);
    const undecided = await (await env.transfer({ amount: 2 })).headers.get('countersign-hold');
    set(-600_000);
    expect(await env.logged('clock.set_back')).toMatchObject({ level: 'error' });
    expect(await readiness()).toEqual([503, false]);
    await becomes(approved, 'EXPIRED');
    await becomes(undecided ?? '', 'EXPIRED');
    await expect.poll(async () => (await env.call('/api/x', { headers })).status, { timeout: 30_000 }).toBe(401);
    expect((await env.transfer({ amount: 1 })).headers.get('countersign-hold')).toBe(approved);
    expect(env.upstream.requests.filter(({ method }) => method === 'POST')).toEqual([]);
    set(0);
    await env.logged('clock.agrees');
    expect(await readiness()).toEqual([200, true]);
  });

  it('opens nothing again that had run out, when it went back while the gateway was down', async () => {
    const approved = await hold();
    await alice.approve(approved);
    await becomes(approved, 'EXPIRED');
    const open = await (await env.transfer({ amount: 2 })).headers.get('countersign-hold');
    const { deadline } = (await alice.show(open ?? '')) as unknown as { deadline: string };
    await env.kill();
    set(-600_000);
    await env.start();
    expect((await alice.show(approved)).state).toBe('EXPIRED');
    // Its time goes on from where it was, and does not begin ten minutes earlier.
    await becomes(open ?? '', 'EXPIRED');
    expect(Date.now() - Date.parse(deadline)).toBeLessThan(60_000);
    expect((await readiness())[0]).toBe(503);
  });
});
