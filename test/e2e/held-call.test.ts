// The main job from outside: an allowed call passes, a held one waits for people, is sent once, and tells its agent
// where it stands.

import { describe, expect } from 'vitest';
import { countFrom } from '../support/count.ts';
import { INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const BODY = { to: 'ACME', amount: 4200 };

const serial = countFrom(0);

const it = gatewayTest.extend('env', file, ({ environment }) => environment());

it.afterEach(({ env }) => env.upstream.respond((_request, response) => response.end('{"ok":true}')));

/** A body of its own per test, so that no test meets another's hold. */
const payment = () => ({ ...BODY, reference: `r${serial()}` });

describe('an allowed call', () => {
  it('reaches the upstream with the injected credential and without the agent’s token', async ({ env }) => {
    const before = env.upstream.requests.length;
    const response = await env.call('/api/accounts?page=2', { headers: { 'x-app': 'yes', cookie: 'a=b' } });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true });
    const seen = await env.upstream.arrived(before);
    expect(seen).toMatchObject({
      method: 'GET',
      url: '/accounts?page=2',
      headers: { authorization: `Bearer ${INJECTED_SECRET}`, 'x-app': 'yes' },
    });
    expect(seen.headers.cookie).toBeUndefined();
    expect(seen.rawHeaders.join('\n')).not.toContain(await env.token('agent-1'));
  });
});

describe('a call that no rule matches', () => {
  it('is denied with no_matching_rule and touches nothing upstream', async ({ env }) => {
    const before = env.upstream.requests.length;
    const response = await env.call('/api/accounts/1', { method: 'DELETE' });
    expect(response.status).toBe(403);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('proxy-status')).toContain('countersign');
    expect(await response.json()).toMatchObject({
      code: 'no_matching_rule',
      type: '/countersign/problems/no_matching_rule',
    });
    expect(env.upstream.requests.length).toBe(before);
  });
});

describe('a held call', () => {
  it('answers 409 approval_pending with what a client needs to come back', async ({ env }) => {
    const response = await env.transfer(payment(), { headers: { prefer: 'wait=0' } });
    expect(response.status).toBe(409);
    expect(response.headers.get('countersign-hold')).toMatch(/^hold_[\w-]{22}$/);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(response.headers.get('x-should-retry')).toBe('true');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toMatchObject({ code: 'approval_pending' });
  });

  it('answers 202 to who prefers an answer now', async ({ env }) => {
    const response = await env.transfer(payment(), { headers: { prefer: 'respond-async' } });
    expect(response.status).toBe(202);
    expect(response.headers.get('preference-applied')).toBe('respond-async');
    const status = await env.call(response.headers.get('location') ?? '');
    expect(await status.json()).toMatchObject({ state: 'PENDING', code: 'approval_pending' });
  });

  it('is sent when it is approved while it waits, and says which hold it was', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const body = payment();
    const before = env.upstream.requests.length;
    const answer = env.transfer(body);
    const id = await hold;
    expect(env.upstream.requests.length).toBe(before);
    await alice.approve(id);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(response.headers.get('countersign-hold')).toBe(id);
    expect(env.upstream.requests.slice(before)).toMatchObject([
      { method: 'POST', url: '/transfers', body: JSON.stringify(body) },
    ]);
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });

  it('is sent when the identical request comes again after the approval, and then is a new call', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const body = payment();
    const now = { headers: { prefer: 'wait=0' } };
    const first = await env.transfer(body, now);
    const id = first.headers.get('countersign-hold') ?? '';
    expect((await env.transfer(body, now)).headers.get('countersign-hold')).toBe(id);
    await alice.approve(id);
    const released = await env.transfer(body, now);
    expect([released.status, released.headers.get('countersign-hold')]).toEqual([200, id]);
    const again = await env.transfer(body, now);
    expect(again.status).toBe(409);
    expect(again.headers.get('countersign-hold')).not.toBe(id);
  });

  it('is refused when a reviewer denies it, also when it is asked again', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const body = payment();
    const before = env.upstream.requests.length;
    const answer = env.transfer(body);
    await alice.deny(await hold);
    const response = await answer;
    expect(response.status).toBe(403);
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(await response.json()).toMatchObject({ code: 'approval_denied' });
    const again = await env.transfer(body);
    expect([again.status, ((await again.json()) as { code: string }).code]).toEqual([403, 'approval_denied']);
    expect(env.upstream.requests.length).toBe(before);
    expect((await alice.list()).map(({ id }) => id)).not.toContain(await hold);
  });

  it('can be cancelled by its agent and by no other', async ({ env }) => {
    const response = await env.transfer(payment(), { headers: { prefer: 'wait=0' } });
    const path = `/countersign/v1/holds/${response.headers.get('countersign-hold')}`;
    expect((await env.call(path, { method: 'DELETE', as: 'agent-2' })).status).toBe(404);
    const cancelled = await env.call(path, { method: 'DELETE' });
    expect(await cancelled.json()).toMatchObject({ state: 'CANCELLED', code: 'approval_revoked' });
  });

  it('keeps to its Idempotency-Key: another payload is refused, and a second send answers with the outcome', async ({
    env,
  }) => {
    const alice = await env.reviewer('alice');
    const body = payment();
    const headers = { prefer: 'wait=0', 'idempotency-key': `key-${serial()}` };
    const id = (await env.transfer(body, { headers })).headers.get('countersign-hold') ?? '';
    const other = await env.transfer({ ...body, amount: 1 }, { headers });
    expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([422, 'idempotency_key_reused']);
    await alice.approve(id);
    expect((await env.transfer(body, { headers })).status).toBe(200);
    const before = env.upstream.requests.length;
    const again = await env.transfer(body, { headers });
    expect(again.status).toBe(409);
    expect(await again.json()).toMatchObject({ code: 'already_sent', status: 409 });
    expect(env.upstream.requests.length).toBe(before);
  });
});
