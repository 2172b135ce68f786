// What can be suspended besides an agent and a task: a person, a trust domain, an upstream, and everything; and
// suspensions that end by themselves. Kinds of fault: a target that stops too little (a server of a mount, a call that
// acts for the person), one that stops too much (people's own work), an end that a restart or a clock undoes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, vi } from 'vitest';
import { GATEWAY_AUDIENCE, rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment, Given } from '../support/environment.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import type { ReviewerClient } from '../support/reviewer-client.ts';
import { type Authority, bundleDocument, createAuthority } from '../support/spiffe-authority.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });
const now = { prefer: 'wait=0' };
const codeOf = async (response: Response): Promise<unknown[]> => [
  response.status,
  ((await response.json()) as { code?: string }).code,
];
const SUSPENDED = [403, 'principal_suspended'];

async function suspend(sam: ReviewerClient, body: Record<string, unknown>): Promise<Record<string, unknown>> {
  const response = await sam.post('/suspensions', { reason: 'odd', ...body });
  const answer = (await response.json()) as Record<string, unknown>;
  expect([response.status, answer]).toMatchObject([201, {}]);
  return answer;
}

/** A gateway that trusts two SPIFFE trust domains, and calls by their workloads. */
async function openDomains(environment: (given: Given) => Promise<Environment>) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const key = { ...(await exportJWK(publicKey)), kid: 'svid', use: 'jwt-svid' };
  const domains = ['prod.test', 'test.test'];
  const authorities = await Promise.all(domains.map((domain) => createAuthority(domain)));
  const env = await environment(({ folder }) => ({
    identity: {
      issuers: domains.map((trustDomain, index) => {
        const path = join(folder, `${trustDomain}.json`);
        writeFileSync(path, bundleDocument([authorities[index] as Authority], {}, [key]));
        return { name: trustDomain.replace('.', '-'), type: 'spiffe', trustDomain, bundle: { file: path } };
      }),
    },
    rules: [rule.allow('reads', { methods: ['GET'] })],
    reviewers: { killSwitch: ['group:soc'] },
  }));
  const callAs = async (trustDomain: string, path: string): Promise<Response> => {
    const token = await new SignJWT({ sub: `spiffe://${trustDomain}${path}` })
      .setProtectedHeader({ alg: 'ES256', kid: 'svid', typ: 'JWT' })
      .setAudience(GATEWAY_AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    return env.call('/api/accounts', { as: 'unused', headers: { authorization: `Bearer ${token}` } });
  };
  return { env, callAs };
}

const it = freshGatewayTest
  .extend('env', ({ environment }) =>
    environment(({ origin }) => ({
      upstreams: { other: { url: origin, credential: 'key' } },
      rules: [
        rule.allow('reads', { methods: ['GET'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
      ],
      reviewers: { killSwitch: ['group:soc'], watch: ['group:watch'] },
    })),
  )
  .extend('sam', ({ env }) => env.reviewer('sam', ['soc']));

describe('suspending an upstream', () => {
  it('revokes its holds, refuses its calls, and leaves other upstreams alone', async ({ env, sam }) => {
    const hold = (await env.transfer(payment(), { headers: now })).headers.get('countersign-hold') ?? '';
    expect(await suspend(sam, { upstream: 'api' })).toMatchObject({ upstream: 'api', revokedHolds: 1 });
    expect((await (await env.reviewer('alice')).show(hold)).state).toBe('REVOKED');
    expect(await codeOf(await env.call('/api/accounts'))).toEqual(SUSPENDED);
    expect(await codeOf(await env.transfer(payment()))).toEqual(SUSPENDED);
    expect((await env.call('/other/accounts')).status).toBe(200);
  });
});

describe('suspending a trust domain', () => {
  it('stops its workloads, whichever they are, and nobody of another domain', async ({ environment }) => {
    const { env, callAs } = await openDomains(environment);
    const sam = await env.reviewer('sam', ['soc']);
    await suspend(sam, { trustDomain: 'prod.test' });
    expect(await codeOf(await callAs('prod.test', '/ns/shop/sa/a'))).toEqual(SUSPENDED);
    expect(await codeOf(await callAs('prod.test', '/ns/shop/sa/b'))).toEqual(SUSPENDED);
    expect((await callAs('test.test', '/ns/shop/sa/a')).status).toBe(200);
    expect((await env.call('/api/accounts')).status).toBe(200);
  });
});

describe('suspending everything', () => {
  it('stops every agent’s calls, and people still look, decide and lift', async ({ env, sam }) => {
    const id = (await suspend(sam, { everything: true })).id;
    for (const [path, as] of [
      ['/api/accounts', 'agent-1'],
      ['/other/accounts', 'agent-2'],
    ] as const)
      expect(await codeOf(await env.call(path, { as }))).toEqual(SUSPENDED);
    expect(await (await env.reviewer('alice', ['finance'])).list()).toEqual([]);
    expect(await sam.read('/suspensions')).toMatchObject({ suspensions: [{ id, everything: true }] });
    expect((await sam.request(`/suspensions/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await env.call('/api/accounts')).status).toBe(200);
  });
});

describe('suspending a person', () => {
  it('stops every agent that acts for the person, however the name is written', async ({ env, sam }) => {
    const claims = { sub: 'Walter', act: { sub: 'agent-delegate' } };
    expect((await env.call('/api/accounts', { claims })).status).toBe(200);
    const pending = await env.transfer(payment(), { claims, headers: now });
    expect(pending.status).toBe(409);
    expect(await suspend(sam, { person: 'WALTER' })).toMatchObject({ revokedHolds: 1 });
    expect(await codeOf(await env.call('/api/accounts', { claims }))).toEqual(SUSPENDED);
    expect((await env.call('/api/accounts', { as: 'agent-delegate' })).status).toBe(200);
  });
});

describe('a suspension with an end', () => {
  it('ends by itself, is on record as ended, and outlives a restart', async ({ env, sam }) => {
    const as = 'agent-brief';
    const principal = `${env.issuer.issuer}#${as}`;
    const { id, until } = await suspend(sam, { principal, for: '5s' });
    expect(until).toEqual(expect.any(String));
    expect(await codeOf(await env.call('/api/accounts', { as }))).toEqual(SUSPENDED);
    await env.kill();
    await env.start();
    await vi.waitFor(async () => expect((await env.call('/api/accounts', { as })).status).toBe(200), {
      timeout: 20_000,
      interval: 100,
    });
    await vi.waitFor(async () => expect(await sam.read('/suspensions')).toEqual({ suspensions: [] }));
    expect((await env.logged('countersign.suspension.ended')).suspension).toBe(id);
  });

  it('is made longer, never shorter, by a second one', async ({ env, sam }) => {
    const principal = `${env.issuer.issuer}#agent-long`;
    const first = await suspend(sam, { principal, for: '1h' });
    const shorter = (await (await sam.post('/suspensions', { principal, for: '1m', reason: 'x' })).json()) as object;
    expect(shorter).toMatchObject({ id: first.id, until: first.until });
    const forever = await suspend(sam, { principal });
    expect(forever.id).not.toBe(first.id);
    expect(forever).not.toHaveProperty('until');
  });
});

describe('lifting', () => {
  it('is out of reach without reviewers.killSwitch', async ({ env, sam }) => {
    const { id } = await suspend(sam, { upstream: 'api' });
    for (const groups of [[], ['watch']]) {
      const other = await env.reviewer(`other-${groups.length}`, groups);
      expect(await codeOf(await other.request(`/suspensions/${id}`, { method: 'DELETE' }))).toEqual([
        403,
        'not_a_reviewer',
      ]);
    }
    expect(await codeOf(await env.call('/api/accounts'))).toEqual(SUSPENDED);
  });

  it('is not asked for by a body that names nothing, two things, or an end that is none', async ({ sam }) => {
    for (const body of [
      { upstream: '' },
      { everything: false },
      { everything: true, upstream: 'api' },
      { trustDomain: 'Not A Domain' },
      { upstream: 'api', for: '0s' },
      { upstream: 'api', for: 'long' },
    ])
      expect([body, ...(await codeOf(await sam.post('/suspensions', { reason: 'x', ...body })))]).toEqual([
        body,
        400,
        'bad_request',
      ]);
  });

  it('refuses an upstream that is not configured, and says which there are', async ({ sam }) => {
    const response = await sam.post('/suspensions', { reason: 'x', upstream: 'apo' });
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { code: 'bad_request', detail: expect.stringContaining('api') },
    ]);
  });
});
