// Tokens as real issuers write them, through the whole gateway: what is legal is taken, on the agents' and on the
// reviewers' side.

import { describe, expect } from 'vitest';
import { REVIEW_AUDIENCE, rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    testIssuer: { displayClaim: 'profile.label' },
    tiers: { payment: { reviewers: ['group:owners', 'group:finance'], count: 1 } },
    rules: [
      rule.allow('reads', { upstream: 'api', methods: ['GET'] }, { when: '"group-156" in agent.claims.groups' }),
      rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
    ],
    reviewers: { api: { groupsClaim: 'realm_access.roles' } },
    limits: { wait: '0s' },
  }),
);

const seconds = () => Math.floor(Date.now() / 1000);

describe('an agent’s token', () => {
  // Kind: a bound of ours that is tighter than the one for the whole header section.
  it.for([157, 180])('with %i groups is taken', async (count, { env }) => {
    const groups = Array.from({ length: count }, (_, index) => `group-${index}`);
    const claims = { groups, padding: 'x'.repeat(7_000) };
    expect((await env.token('agent-1', claims)).length).toBeGreaterThan(8192);
    expect((await env.call('/api/ledger', { claims })).status).toBe(200);
  });

  it('larger than the header section is refused by that bound', async ({ env }) => {
    expect(
      (await env.call('/api/ledger', { claims: { groups: ['group-156'], padding: 'x'.repeat(13_000) } })).status,
    ).toBe(431);
  });

  // Kind: times with fractions (RFC 7519 section 2).
  it.for([
    { iat: 0.5, exp: 299.25 },
    { iat: -1.001, nbf: -0.999, exp: 60.123456 },
    { iat: 1e-3, exp: 1.5e2 },
  ])('with times such as %j is taken', async (times, { env }) => {
    const at = Object.fromEntries(Object.entries(times).map(([name, offset]) => [name, seconds() + offset]));
    expect((await env.call('/api/ledger', { claims: { ...at, groups: ['group-156'] } })).status).toBe(200);
  });
});

describe('a reviewer', () => {
  it.for([
    ['by one text at the end of a path', { realm_access: { roles: 'owners' }, amr: 'pwd' }],
    ['by a list at the end of a path', { realm_access: { roles: ['x', 'finance'] } }],
    ['by the exact name of a claim', { 'realm_access.roles': ['owners'], realm_access: { roles: [] } }],
    ['with fractions in the time of the sign-in', { realm_access: { roles: 'owners' }, auth_time: seconds() - 0.5 }],
  ] as const)('is known %s', async ([_what, claims], { env }) => {
    const held = await env.transfer({ amount: Math.random() });
    const reviewer = await env.reviewer('rita', [], claims);
    await reviewer.approve(held.headers.get('countersign-hold') ?? '');
  });

  it('is shown the client and the issuer’s name of an agent whose subject says nothing', async ({ env }) => {
    const sub = '0b4c2f0e-8f0a-4a5e-9d8c-0f6a1b2c3d4e';
    const held = await env.transfer(
      { amount: 1 },
      { as: sub, claims: { azp: 'agent-ledger', profile: { label: 'Ledger agent' } } },
    );
    const reviewer = await env.reviewer('rita', [], { realm_access: { roles: 'owners' } });
    const { principal } = await reviewer.show(held.headers.get('countersign-hold') ?? '');
    expect(principal).toMatchObject({ subject: sub, client: 'agent-ledger', name: 'Ledger agent' });
  });

  // Kind: what is shown is no part of who somebody is: the approval belongs to the subject, whatever the client and the
  // name are today.
  it('approves for the subject, not for the client or the name', async ({ env }) => {
    const held = await env.transfer({ amount: 2 }, { claims: { azp: 'one', profile: { label: 'One' } } });
    const reviewer = await env.reviewer('rita', [], { realm_access: { roles: 'owners' } });
    await reviewer.approve(held.headers.get('countersign-hold') ?? '');
    const other = await env.transfer(
      { amount: 2 },
      { as: 'agent-2', claims: { azp: 'one', profile: { label: 'One' } } },
    );
    expect(other.status).toBe(409);
    const sent = await env.transfer({ amount: 2 }, { claims: { azp: 'two' } });
    expect([sent.status, sent.headers.get('countersign-hold')]).toEqual([200, held.headers.get('countersign-hold')]);
  });

  it('with an ID token of the same audience is nobody', async ({ env }) => {
    const reviewer = await env.reviewer('rita', [], {
      aud: REVIEW_AUDIENCE,
      typ: 'ID',
      realm_access: { roles: 'owners' },
    });
    await expect(reviewer.list()).rejects.toThrow();
  });
});
