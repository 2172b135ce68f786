// Who may decide, and how: every refusal at the reviewers' API with its code, and an upstream that saw nothing of it.

import { describe, expect } from 'vitest';
import { GATEWAY_AUDIENCE, REVIEW_AUDIENCE, rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered, approveTransfer, holdTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment({
      identity: { owners: {} },
      tiers: {
        payment: { reviewers: ['group:finance'], decideWithin: '5m', useWithin: '2m' },
        pair: { reviewers: ['group:finance'], count: 2 },
        safety: { reviewers: ['group:safety', 'user:erin'] },
        careful: { reviewers: ['group:finance'], reasonRequired: true, stepUp: true },
      },
      rules: [
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.hold('pairs', { upstream: 'api', methods: ['POST'], path: '/pairs' }, { tier: 'pair' }),
        rule.hold('both', { upstream: 'api', methods: ['POST'], path: '/both' }),
        rule.hold('both-safe', { upstream: 'api', methods: ['POST'], path: '/both' }, { tier: 'safety' }),
        rule.hold('careful', { upstream: 'api', methods: ['POST'], path: '/careful' }, { tier: 'careful' }),
      ],
      limits: { wait: '20s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'))
  .extend('bob', file, ({ env }) => env.reviewer('bob'))
  // How much the upstream has got since the test began.
  .extend('sent', { auto: true }, ({ env }) => {
    const before = env.upstream.requests.length;
    return () => env.upstream.requests.length - before;
  });

const post = (env: Environment, path: string, body: unknown) =>
  answered(env.call(`/api/${path}`, { method: 'POST', body, headers: { prefer: 'wait=0' } }));
const refusal = async (response: Promise<Response>) => {
  const { status, code } = await answered(response);
  return `${status} ${code}`;
};

describe('a vote that does not count', () => {
  it.afterEach(({ sent }) => expect(sent()).toBe(0));

  it('comes from somebody outside the group, who does not even learn that the hold exists', async ({ env, alice }) => {
    const mallory = await env.reviewer('mallory', ['sales']);
    const id = await holdTransfer(env, payment());
    const { bindingDigest } = await alice.show(id);
    expect(await refusal(mallory.vote(id, 'approve', { bindingDigest }))).toBe('404 hold_not_found');
    expect(await refusal(mallory.revoke(id))).toBe('404 hold_not_found');
    expect(await refusal(mallory.request(`/holds/${id}`))).toBe('404 hold_not_found');
    expect(await mallory.list()).toEqual([]);
    expect(await refusal((await env.reviewer('alice', [])).vote(id, 'approve', { bindingDigest }))).toBe(
      '404 hold_not_found',
    );
    expect((await alice.show(id)).state).toBe('PENDING');
  });

  it.for(['agent-1', 'AGENT-1'])('comes from the agent itself, signed in as %s', async (subject, { env }) => {
    const self = await env.reviewer(subject);
    const id = await holdTransfer(env, payment());
    expect(await refusal(self.vote(id, 'approve'))).toBe('403 separation_of_duties');
    expect((await self.show(id)).youMay).toMatchObject({ vote: false });
  });

  it('comes from the user on whose behalf the agent acts, or from an actor in between', async ({ env, alice }) => {
    const { code, hold } = await transferNow(env, payment(), {
      as: 'carol',
      claims: { act: { sub: 'agent-1', act: { sub: 'dave' } } },
    });
    expect(code).toBe('approval_pending');
    for (const subject of ['carol', 'dave', 'agent-1']) {
      expect(await refusal((await env.reviewer(subject)).vote(hold, 'approve'))).toBe('403 separation_of_duties');
    }
    expect((await alice.show(hold)).state).toBe('PENDING');
  });

  it('comes from an owner of the agent, also when registered after the call', async ({ env }) => {
    const owner = await env.reviewer('olga');
    const id = await holdTransfer(env, payment(), { as: 'agent-owned' });
    const before = env.config;
    const owners = { [`${env.issuer.issuer}#agent-owned`]: ['olga'] };
    expect(await env.edit(({ identity }) => Object.assign(identity, { owners }))).toBe('config.reloaded');
    expect(await refusal(owner.vote(id, 'approve'))).toBe('403 separation_of_duties');
    const later = await holdTransfer(env, payment(), { as: 'agent-owned' });
    expect(await env.edit(before)).toBe('config.reloaded');
    // Who was the owner when the call was held stays one for this hold.
    expect(await refusal(owner.vote(later, 'approve'))).toBe('403 separation_of_duties');
  });

  it('is signed with a workload’s token', async ({ env, alice }) => {
    const id = await holdTransfer(env, payment());
    const { bindingDigest } = await alice.show(id);
    const tokens: Readonly<Record<string, unknown>>[] = [
      { sub: 'alice', aud: GATEWAY_AUDIENCE },
      { sub: 'alice', aud: [REVIEW_AUDIENCE, GATEWAY_AUDIENCE] },
      { sub: 'alice', aud: REVIEW_AUDIENCE, act: { sub: 'agent-1' } },
      { sub: 'client-7', aud: REVIEW_AUDIENCE, client_id: 'client-7' },
      { sub: 'spiffe://prod.test/agent', aud: REVIEW_AUDIENCE },
      // Kind: a client's own token whose subject says nothing (Keycloak's is a UUID).
      {
        sub: '6f9cbd2e-5a53-4d0c-9a50-1b9d3c1f7a10',
        aud: REVIEW_AUDIENCE,
        client_id: 'agent-1',
        azp: 'agent-1',
        auth_time: undefined,
      },
      { sub: '6f9cbd2e-5a53-4d0c-9a50-1b9d3c1f7a11', aud: REVIEW_AUDIENCE, client_id: 'agent-1' },
      { sub: '6f9cbd2e-5a53-4d0c-9a50-1b9d3c1f7a12', aud: REVIEW_AUDIENCE, azp: 'agent-1' },
      { sub: 'alice', aud: REVIEW_AUDIENCE, client_id: undefined },
      { sub: 'alice', aud: REVIEW_AUDIENCE, auth_time: undefined },
      // Kind: a token that says to the console who signed in, not what may be done (OpenID Connect Core section 2).
      { sub: 'alice', aud: REVIEW_AUDIENCE, nonce: 'n-0S6_WzA2Mj' },
      { sub: 'alice', aud: REVIEW_AUDIENCE, at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng' },
      { sub: 'alice', aud: REVIEW_AUDIENCE, typ: 'ID' },
      // Kind: a second person beside another one, told apart by what nobody sees.
      { sub: 'alice\u200b', aud: REVIEW_AUDIENCE },
      { sub: 'alice\u2066', aud: REVIEW_AUDIENCE },
      { sub: 'alice ', aud: REVIEW_AUDIENCE },
      { sub: 'alice', aud: REVIEW_AUDIENCE, exp: Math.floor(Date.now() / 1000) - 60 },
    ];
    for (const claims of tokens) {
      const workload = await env.reviewer('alice', ['finance'], claims);
      expect(await refusal(workload.vote(id, 'approve', { bindingDigest }))).toBe('401 reviewer_unauthenticated');
    }
    const body = JSON.stringify({ decision: 'approve', bindingDigest });
    const anonymous = fetch(`http://127.0.0.1:${env.ports.reviewers}/api/v1/holds/${id}/votes`, {
      method: 'POST',
      body,
    });
    expect(await refusal(anonymous)).toBe('401 reviewer_unauthenticated');
    // And a reviewer's token is no good at the agents' side.
    expect((await transferNow(env, payment(), { headers: { authorization: `Bearer ${alice.token}` } })).code).toBe(
      'token_audience',
    );
  });

  it('names another digest than the hold’s', async ({ env, alice }) => {
    const [id, other] = [await holdTransfer(env, payment()), await holdTransfer(env, payment())];
    const [seen, otherSeen] = [await alice.show(id), await alice.show(other)];
    for (const bindingDigest of [
      otherSeen.bindingDigest,
      String(seen.actionDigest),
      seen.bindingDigest.toUpperCase(),
      `${seen.bindingDigest} `,
    ]) {
      expect(await refusal(alice.vote(id, 'approve', { bindingDigest }))).toBe('412 stale_digest');
    }
  });

  it.for([
    ['has a member that is not known', { decision: 'approve', force: true }, '422 bad_vote'],
    ['says neither approve nor deny', { decision: 'APPROVE' }, '422 bad_vote'],
    ['decides for somebody else', { decision: 'approve', reviewer: 'bob' }, '422 bad_vote'],
    ['says it twice', '{"decision":"deny","decision":"approve","bindingDigest":"DIGEST"}', '400 bad_json'],
    ['is a list', '[]', '422 bad_vote'],
  ] as const)('%s', async ([_name, body, outcome], { env, alice }) => {
    const id = await holdTransfer(env, payment());
    const { bindingDigest } = await alice.show(id);
    const text =
      typeof body === 'string' ? body.replace('DIGEST', bindingDigest) : JSON.stringify({ bindingDigest, ...body });
    const vote = alice.request(`/holds/${id}/votes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
    });
    expect(await refusal(vote)).toBe(outcome);
    expect(await alice.show(id)).toMatchObject({ state: 'PENDING', votes: [] });
  });

  it('lacks a reason or a fresh sign-in where the tier asks for them', async ({ env, alice }) => {
    const { hold } = await post(env, 'careful', payment());
    expect(await refusal(alice.vote(hold, 'approve'))).toBe('422 reason_required');
    const stale = await env.reviewer('alice', ['finance'], { auth_time: Math.floor(Date.now() / 1000) - 301 });
    expect(await refusal(stale.vote(hold, 'approve', { reason: 'fine' }))).toBe('401 step_up_required');
    const undated = await env.reviewer('alice', ['finance'], { auth_time: undefined, sid: 's-1' });
    expect(await refusal(undated.vote(hold, 'approve', { reason: 'fine' }))).toBe('401 step_up_required');
    expect((await alice.vote(hold, 'approve', { reason: 'fine' })).status).toBe(200);
  });
});

describe('after an approval', () => {
  it('another reviewer’s deny ends it', async ({ sent, env, alice, bob }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect((await bob.vote(id, 'deny')).status).toBe(200);
    expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'approval_denied', hold: id });
    expect(sent()).toBe(0);
  });

  it('the same reviewer has voted, and can take it back', async ({ sent, env, alice }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect(await refusal(alice.vote(id, 'deny'))).toBe('409 already_voted');
    expect((await alice.revoke(id, 'wrong account')).status).toBe(200);
    const told = await transferNow(env, body);
    expect([told.status, told.code]).toEqual([403, 'approval_revoked']);
    expect(told.text).not.toContain('wrong account');
    expect(sent()).toBe(0);
  });

  it('a second approval, or anything after the call was sent, comes too late', async ({ env, alice, bob }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect(await refusal(bob.vote(id, 'approve'))).toBe('409 hold_closed');
    expect((await transferNow(env, body)).status).toBe(200);
    expect(await refusal(bob.vote(id, 'deny'))).toBe('409 hold_closed');
    expect(await refusal(bob.revoke(id))).toBe('409 hold_closed');
  });

  it('a reviewer who is suspended since then counts no more, while the call waits or when it comes back', async ({
    sent,
    env,
    alice,
    bob,
  }) => {
    const body = payment();
    const before = env.config;
    const id = await approveTransfer(env, bob, body);
    const { hold: pair } = await post(env, 'pairs', body);
    await bob.approve(pair);
    expect(await env.edit(({ reviewers }) => Object.assign(reviewers, { suspended: ['bob'] }))).toBe('config.reloaded');
    expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'approval_invalidated', hold: id });
    // Bob's vote does not make up a quorum with Alice's any more, and he has no new one.
    await alice.approve(pair);
    expect((await alice.show(pair)).state).toBe('PENDING');
    const next = await holdTransfer(env, body);
    expect(await refusal(bob.vote(next, 'approve'))).toBe('403 not_a_reviewer');
    expect(await env.edit(before)).toBe('config.reloaded');
    expect(sent()).toBe(0);
  });
});

describe('a quorum of two', () => {
  it('is not one person twice, under one sign-in or two', async ({ sent, env, alice, bob }) => {
    const body = payment();
    const { hold } = await post(env, 'pairs', body);
    await alice.approve(hold);
    expect(await refusal(alice.vote(hold, 'approve'))).toBe('409 already_voted');
    expect(await refusal((await env.reviewer('Alice')).vote(hold, 'approve'))).toBe('409 already_voted');
    expect((await post(env, 'pairs', body)).code).toBe('approval_pending');
    expect(sent()).toBe(0);
    await bob.approve(hold);
    expect(await post(env, 'pairs', body)).toMatchObject({ status: 200, hold });
  });
});

describe('two tiers at once', () => {
  it('need a person for each: somebody in both groups counts once', async ({ sent, env }) => {
    const both = await env.reviewer('frank', ['finance', 'safety']);
    const body = payment();
    const { hold } = await post(env, 'both', body);
    await both.approve(hold);
    expect((await post(env, 'both', body)).code).toBe('approval_pending');
    expect(sent()).toBe(0);
    await (await env.reviewer('erin', [])).approve(hold);
    expect(await post(env, 'both', body)).toMatchObject({ status: 200, hold });
  });

  it('are not met by two people of one of them', async ({ sent, env, alice, bob }) => {
    const body = payment();
    const { hold } = await post(env, 'both', body);
    await alice.approve(hold);
    await bob.approve(hold);
    expect((await post(env, 'both', body)).code).toBe('approval_pending');
    expect(sent()).toBe(0);
  });
});

describe('the events', () => {
  it('follow a hold through its states, for those whom it names only', async ({ env, alice }) => {
    const safety = await env.reviewer('sam', ['safety']);
    const nothing = await safety.expect('PENDING');
    const [approved, executed] = await Promise.all([alice.expect('APPROVED'), alice.expect('EXECUTED')]);
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect(await approved.hold).toBe(id);
    await transferNow(env, body);
    expect(await executed.hold).toBe(id);
    // The first hold that Sam hears of is the first that names him.
    const { hold } = await post(env, 'both', payment());
    expect(await nothing.hold).toBe(hold);
  });
});
