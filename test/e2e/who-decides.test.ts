// Tiers that ask for several groups of people: `require` with one entry per seat. Kinds: one person who fills two seats,
// an escalation that opens the wrong seat, a change of a seat that an approval outlives, an edit that changes nothing and
// voids.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, freshGatewayTest, gatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `w${serial()}` });
const FINANCE_AND_SECURITY = [
  { from: 'group:finance', count: 1 },
  { from: 'group:security', count: 1 },
];

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment({
      tiers: {
        two: { require: FINANCE_AND_SECURITY, decideWithin: '5m' },
        many: { require: [{ from: ['group:finance', 'user:erin'], count: 2 }] },
        late: {
          require: [
            { from: 'group:finance', escalate: { after: '1s', to: ['group:duty'] } },
            { from: 'group:security' },
          ],
        },
        short: { reviewers: ['group:finance'], count: 2 },
        self: { require: [{ from: ['user:agent-1', 'user:erin'], count: 2 }] },
      },
      rules: ['two', 'many', 'late', 'short', 'self'].map((tier) =>
        rule.hold(
          tier,
          { upstream: 'api', methods: ['POST'], path: `/${tier}` },
          { tier, maintainer: 'team payments' },
        ),
      ),
      limits: { wait: '0s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'))
  .extend('bob', file, ({ env }) => env.reviewer('bob'))
  .extend('sam', file, ({ env }) => env.reviewer('sam', ['security']))
  .extend('both', file, ({ env }) => env.reviewer('frank', ['finance', 'security']));

const post = (env: Environment, path: string, body: unknown) =>
  answered(env.call(`/api/${path}`, { method: 'POST', body, headers: { prefer: 'wait=0' } }));

describe('a tier with two seats', () => {
  it('needs a person for each', async ({ env, alice, bob, sam }) => {
    const body = payment();
    const { hold } = await post(env, 'two', body);
    await alice.approve(hold);
    await bob.approve(hold);
    expect((await post(env, 'two', body)).code).toBe('approval_pending');
    await sam.approve(hold);
    expect(await post(env, 'two', body)).toMatchObject({ status: 200, hold });
  });

  it('is not met by one person who is in both groups, who then fills whichever seat is left', async ({
    env,
    both,
    sam,
  }) => {
    const body = payment();
    const { hold } = await post(env, 'two', body);
    await both.approve(hold);
    expect((await post(env, 'two', body)).code).toBe('approval_pending');
    await sam.approve(hold);
    expect(await post(env, 'two', body)).toMatchObject({ status: 200, hold });
  });

  it('shows each seat, and who keeps the rule', async ({ env, alice }) => {
    const { hold } = await post(env, 'two', payment());
    expect(await alice.show(hold)).toMatchObject({
      requirements: [
        { tier: 'two', from: ['group:finance'], reviewers: ['group:finance'], count: 1 },
        { tier: 'two', from: ['group:security'], reviewers: ['group:security'], count: 1 },
      ],
      rules: [{ id: 'two', maintainer: 'team payments' }],
    });
  });

  it('counts votes that come at the same moment one by one', async ({ env, alice, bob, sam }) => {
    const body = payment();
    const { hold } = await post(env, 'two', body);
    const votes = await Promise.all([alice, bob, sam].map((one) => one.vote(hold, 'approve')));
    const counted = votes.filter(({ ok }) => ok).length;
    // Whoever comes after the quorum finds the hold approved.
    expect(counted).toBeGreaterThanOrEqual(2);
    const { votes: stored } = await alice.show(hold);
    expect(stored).toHaveLength(counted);
    expect(await post(env, 'two', body)).toMatchObject({ status: 200, hold });
  });

  it('takes a list of people in one seat', async ({ env, alice }) => {
    const body = payment();
    const { hold } = await post(env, 'many', body);
    await alice.approve(hold);
    expect((await post(env, 'many', body)).code).toBe('approval_pending');
    await (await env.reviewer('erin', [])).approve(hold);
    expect(await post(env, 'many', body)).toMatchObject({ status: 200, hold });
  });
});

describe('an escalation of one seat', () => {
  it('lets the second group into that seat alone', async ({ env, alice, sam }) => {
    const duty = await env.reviewer('dora', ['duty']);
    const body = payment();
    const { hold } = await post(env, 'late', body);
    await expect.poll(async () => (await duty.request(`/holds/${hold}`)).status, { timeout: 10_000 }).toBe(200);
    await duty.approve(hold);
    await alice.approve(hold);
    expect((await post(env, 'late', body)).code).toBe('approval_pending');
    await sam.approve(hold);
    expect(await post(env, 'late', body)).toMatchObject({ status: 200, hold });
  });
});

describe('people who are named one by one', () => {
  it('are too few when separation of duties leaves fewer than the seat counts', async ({ env }) => {
    expect(await post(env, 'self', payment())).toMatchObject({ status: 403, code: 'no_eligible_reviewer', hold: '' });
  });
});

describe('an edit of the tier', () => {
  it('voids nothing when it only writes the same seats in the other form', async ({ env, alice, bob }) => {
    const body = payment();
    const { hold } = await post(env, 'short', body);
    await alice.approve(hold);
    await bob.approve(hold);
    await env.edit(({ tiers }) => {
      tiers.short = { require: [{ from: 'group:finance', count: 2 }] };
    });
    expect(await post(env, 'short', body)).toMatchObject({ status: 200, hold });
  });

  it('voids when it changes who sits in a seat', async ({ env, alice, sam }) => {
    const body = payment();
    const { hold } = await post(env, 'two', body);
    await alice.approve(hold);
    await sam.approve(hold);
    await env.edit(({ tiers }) => {
      tiers.two = { require: [...FINANCE_AND_SECURITY.slice(0, 1), { from: 'group:legal' }], decideWithin: '5m' };
    });
    expect(await post(env, 'two', body)).toMatchObject({ status: 403, code: 'approval_invalidated' });
  });
});

// Kind: a second name of one person counts as a second person.
describe('one person under two names', () => {
  const people = freshGatewayTest.extend('env', ({ environment }) =>
    environment({
      testIssuer: { personClaim: 'oid' },
      reviewers: { api: { personClaim: 'oid' } },
      resources: [{ id: 'r', match: { upstream: 'api', path: '/owned' }, owners: ['user:carol'] }],
      tiers: {
        two: { require: FINANCE_AND_SECURITY },
        owned: { require: [{ from: 'owner' }, { from: 'group:security' }] },
      },
      rules: ['two', 'owned'].map((tier) => rule.hold(tier, { upstream: 'api', path: `/${tier}` }, { tier })),
      limits: { wait: '0s' },
    }),
  );

  people('fills one of two seats', async ({ env }) => {
    const body = payment();
    const { hold } = await post(env, 'two', body);
    await (await env.reviewer('alice', ['finance'], { oid: 'oid-1' })).approve(hold);
    const again = await env.reviewer('alice-admin', ['security'], { oid: 'OID-1' });
    expect(await answered(again.vote(hold, 'approve'))).toMatchObject({ status: 409, code: 'already_voted' });
    expect((await post(env, 'two', body)).code).toBe('approval_pending');
    await (await env.reviewer('sam', ['security'], { oid: 'oid-2' })).approve(hold);
    expect(await post(env, 'two', body)).toMatchObject({ status: 200, hold });
  });

  people('does not decide as the owner of what is done for her', async ({ env }) => {
    const call = (claims: object) =>
      answered(env.call('/api/owned', { method: 'POST', body: payment(), as: 'carol', claims: { ...claims } }));
    const act = { act: { sub: 'agent-1' } };
    expect(await call({ ...act, oid: 'oid-carol' })).toMatchObject({ status: 403, code: 'no_eligible_reviewer' });
    // Under another subject she is found when she votes: only then the issuer says who she is.
    const { hold } = await answered(
      env.call('/api/owned', {
        method: 'POST',
        body: payment(),
        as: 'carol-at-work',
        claims: { ...act, oid: 'oid-carol' },
      }),
    );
    const carol = await env.reviewer('carol', [], { oid: 'oid-carol' });
    expect(await answered(carol.vote(hold, 'approve'))).toMatchObject({ status: 403, code: 'separation_of_duties' });
  });
});
