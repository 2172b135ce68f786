// Who is one person, from outside: a second subject, a second issuer's spelling or a second vote must not make somebody
// else of her. Kinds: a person approves her own call, one person is a quorum of two, a missing or unverified claim lets
// somebody through, a claim hides the subject.

import { describe, expect } from 'vitest';
import { rule, type WholeConfig } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

const serial = countFrom(0);
const payment = () => ({ to: 'ACME', reference: `r${serial()}` });
const now = { prefer: 'wait=0' };

/** Opens a hold for a token with these claims and gives its id. */
async function hold(env: Environment, claims: Readonly<Record<string, unknown>>): Promise<string> {
  const response = await env.transfer(payment(), { claims, headers: now });
  expect(response.status).toBe(409);
  return response.headers.get('countersign-hold') ?? '';
}
const codeOf = async (response: Promise<Response> | Response): Promise<unknown> =>
  ((await (await response).json()) as { code?: string }).code;

const tiers = {
  payment: { reviewers: ['group:finance'], count: 1 },
  two: { reviewers: ['group:finance'], count: 2 },
};

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment(({ issuer }) => ({
      testIssuer: { personClaim: 'oid' },
      identity: { owners: { [`${issuer}#bot-owned`]: ['oid-owner'] } },
      tiers,
      rules: [
        rule.allow('reads', { methods: ['GET'] }),
        rule.hold('transfers', { methods: ['POST'], path: '/transfers' }),
        rule.hold('two-people', { methods: ['POST'], path: '/large' }, { tier: 'two' }),
      ],
      reviewers: { api: { personClaim: 'oid' }, killSwitch: ['group:soc'], suspended: ['oid-gone'] },
    })),
  )
  .extend('mail', file, ({ environment }) =>
    environment({
      testIssuer: { personClaim: 'email' },
      reviewers: { api: { personClaim: 'email' } },
    }),
  )
  .extend('delegated', file, ({ environment }) =>
    environment(({ issuer }) => ({
      testIssuer: { subject: 'person' },
      rules: [
        rule.allow(
          'reads',
          { methods: ['GET'] },
          { when: `agent.id == "${issuer}#bot" && size(agent.onBehalfOf) == 1` },
        ),
        rule.hold('transfers', { methods: ['POST'] }),
      ],
    })),
  );

describe('with a person claim on both sides', () => {
  const walter = { sub: 'walter@app', oid: 'oid-walter', act: { sub: 'bot' } };

  it('refuses her vote on a call for her, though her subject there is another one', async ({ env }) => {
    const id = await hold(env, walter);
    const same = await env.reviewer('walter@console', ['finance'], { oid: 'OID-Walter' });
    expect(await codeOf(same.vote(id, 'approve'))).toBe('separation_of_duties');
    expect(await same.show(id)).toMatchObject({ youMay: { vote: false } });
    const other = await env.reviewer('alice', ['finance'], { oid: 'oid-alice' });
    await other.approve(id);
    expect(await other.show(id)).toMatchObject({ state: 'APPROVED' });
  });

  it('refuses it as well by subject alone: the claim replaces nothing', async ({ env }) => {
    const id = await hold(env, walter);
    const same = await env.reviewer('walter@app', ['finance'], { oid: 'oid-quite-another' });
    expect(await codeOf(same.vote(id, 'approve'))).toBe('separation_of_duties');
  });

  it('reads the claim of an actor from `act`, for every actor of the chain', async ({ env }) => {
    const id = await hold(env, {
      sub: 'walter@app',
      oid: 'oid-walter',
      act: { sub: 'bot', act: { sub: 'erin@app', oid: 'oid-erin' } },
    });
    const erin = await env.reviewer('erin@console', ['finance'], { oid: 'oid-erin' });
    expect(await codeOf(erin.vote(id, 'approve'))).toBe('separation_of_duties');
  });

  it('counts two accounts of one person once', async ({ env }) => {
    const response = await env.call('/api/large', { method: 'POST', body: payment(), claims: walter, headers: now });
    const id = response.headers.get('countersign-hold') ?? '';
    const first = await env.reviewer('ann', ['finance'], { oid: 'oid-ann' });
    const second = await env.reviewer('ann-admin', ['finance'], { oid: 'oid-ann' });
    await first.approve(id);
    expect(await codeOf(second.vote(id, 'approve'))).toBe('already_voted');
    expect(await second.show(id)).toMatchObject({ state: 'PENDING', youMay: { vote: false, revoke: true } });
    await (await env.reviewer('ben', ['finance'], { oid: 'oid-ben' })).approve(id);
    expect(await first.show(id)).toMatchObject({ state: 'APPROVED' });
  });

  it('knows an owner of the agent by the claim', async ({ env }) => {
    const id = await hold(env, { sub: 'bot-owned' });
    const owner = await env.reviewer('olga@console', ['finance'], { oid: 'oid-owner' });
    expect(await codeOf(owner.vote(id, 'approve'))).toBe('separation_of_duties');
  });

  it('does not count a suspended reviewer under another subject', async ({ env }) => {
    const id = await hold(env, walter);
    const gone = await env.reviewer('gone@new', ['finance'], { oid: 'oid-gone' });
    expect(await codeOf(gone.vote(id, 'approve'))).toBe('not_a_reviewer');
  });

  it.for([
    ['no claim', {}],
    ['an empty claim', { oid: '' }],
    ['a claim that is no text', { oid: 7 }],
    ['a claim with characters that nobody sees', { oid: 'oid-\u200balice' }],
  ] as const)('refuses a reviewer with %s', async ([, claims], { env }) => {
    const nobody = await env.reviewer('alice', ['finance'], claims);
    expect(await answered(nobody.request('/holds'))).toMatchObject({ status: 403, code: 'person_unknown' });
  });

  it.for([
    ['no claim', {}],
    ['an empty claim', { oid: '' }],
    ['the claim at the actor only', { act: { sub: 'bot', oid: 'oid-bot' } }],
  ] as const)('refuses an agent’s token that acts for a person with %s', async ([, claims], { env }) => {
    const before = env.upstream.requests.length;
    const answer = env.call('/api/accounts', { claims: { sub: 'walter', act: { sub: 'bot' }, ...claims } });
    expect(await answered(answer)).toMatchObject({ status: 403, code: 'person_unknown' });
    expect(env.upstream.requests.length).toBe(before);
  });

  it('asks no claim of an agent that acts for itself', async ({ env }) => {
    expect((await env.call('/api/accounts', { as: 'bot' })).status).toBe(200);
  });

  it('uses no approval of somebody who turns out to be the person acted for', async ({ env }) => {
    const body = payment();
    const claims = { ...walter, sub: 'walter@later' };
    const hide = (config: WholeConfig) => {
      const [issuer] = config.identity.issuers;
      if (issuer?.type === 'oidc') delete issuer.personClaim;
    };
    expect(await env.edit(hide)).toBe('config.reloaded');
    const held = await answered(env.transfer(body, { claims, headers: now }));
    const same = await env.reviewer('walter@console', ['finance'], { oid: 'oid-walter' });
    await same.approve(held.hold);
    const unaffected = await answered(env.transfer({ to: 'unaffected' }, { claims, headers: now }));
    const show = (config: WholeConfig) => Object.assign(config.identity.issuers[0] ?? {}, { personClaim: 'oid' });
    expect(await env.edit(show)).toBe('config.reloaded');
    const before = env.upstream.requests.length;
    expect(await answered(env.transfer(body, { claims, headers: now }))).toMatchObject({
      code: 'approval_invalidated',
    });
    expect(env.upstream.requests.length).toBe(before);
    // A hold that was opened when no token named a person goes on with another reviewer.
    await (await env.reviewer('alice', ['finance'], { oid: 'oid-alice' })).approve(unaffected.hold);
    const sent = await answered(env.transfer({ to: 'unaffected' }, { claims, headers: now }));
    expect(sent).toMatchObject({ status: 200, hold: unaffected.hold });
  });

  it('stops every agent for a suspended person, whatever account the token names', async ({ env }) => {
    const sam = await env.reviewer('sam', ['soc', 'finance'], { oid: 'oid-sam' });
    const fay = (sub: string, bot: string) => ({ sub, oid: 'oid-fay', act: { sub: bot } });
    const open = await hold(env, fay('fay@app', 'bot-1'));
    const suspended = await sam.post('/suspensions', { person: 'OID-Fay', reason: 'account taken over' });
    expect(await sam.show(open)).toMatchObject({ state: 'REVOKED' });
    for (const claims of [fay('fay@app', 'bot-1'), fay('fay@other', 'bot-2'), { sub: 'fay@app', oid: 'oid-fay' }])
      expect(await answered(env.call('/api/accounts', { claims }))).toMatchObject({ code: 'principal_suspended' });
    expect((await env.call('/api/accounts', { as: 'bot-1' })).status).toBe(200);
    const { id } = (await suspended.json()) as { id: string };
    await sam.request(`/suspensions/${id}`, { method: 'DELETE' });
    expect((await env.call('/api/accounts', { claims: fay('fay@app', 'bot-1') })).status).toBe(200);
  });

  it('compares after a restart as before', async ({ env }) => {
    const id = await hold(env, walter);
    await env.kill();
    await env.start();
    const same = await env.reviewer('walter@console', ['finance'], { oid: 'oid-walter' });
    expect(await codeOf(same.vote(id, 'approve'))).toBe('separation_of_duties');
    expect(await same.show(id)).toMatchObject({
      principal: { onBehalfOf: [{ subject: 'walter@app', person: 'oid-walter' }] },
    });
  });
});

describe('with e-mail addresses as the claim', () => {
  const claims = { sub: 'w1', email: 'Walter@Corp.example', email_verified: true, act: { sub: 'bot' } };

  it('compares them folded', async ({ mail: env }) => {
    const id = await hold(env, claims);
    const same = await env.reviewer('w2', ['finance'], { email: 'walter@corp.example', email_verified: true });
    expect(await codeOf(same.vote(id, 'approve'))).toBe('separation_of_duties');
  });

  it.for([[false], ['true'], [undefined], [1]])(
    'counts none beside email_verified: %j',
    async ([verified], { mail: env }) => {
      const unverified = { ...claims, email_verified: verified };
      expect(await answered(env.call('/api/accounts', { claims: unverified }))).toMatchObject({
        code: 'person_unknown',
      });
      const reviewer = await env.reviewer('w2', ['finance'], { email: 'w@corp.example', email_verified: verified });
      expect(await answered(reviewer.request('/holds'))).toMatchObject({ status: 403, code: 'person_unknown' });
    },
  );
});

describe('with `subject: person`', () => {
  it('the client calls, and the subject is whom it acts for', async ({ delegated: env }) => {
    expect((await env.call('/api/accounts', { claims: { sub: 'walter', client_id: 'bot' } })).status).toBe(200);
    expect((await env.call('/api/accounts', { claims: { sub: 'walter', azp: 'bot' } })).status).toBe(200);
    const id = await hold(env, { sub: 'walter', client_id: 'bot' });
    const walter = await env.reviewer('walter');
    expect(await codeOf(walter.vote(id, 'approve'))).toBe('separation_of_duties');
  });

  it('a verified actor calls, and not the client that got the token', async ({ delegated: env }) => {
    const claims = { sub: 'walter', client_id: 'broker', act: { sub: 'bot' } };
    expect((await env.call('/api/accounts', { claims })).status).toBe(200);
  });

  it('a token that a client got for itself acts for nobody', async ({ delegated: env }) => {
    const id = await hold(env, { sub: 'bot', client_id: 'bot' });
    const alice = await env.reviewer('alice');
    expect(await alice.show(id)).toMatchObject({ principal: { id: `${env.issuer.issuer}#bot`, onBehalfOf: [] } });
  });

  it.for([
    ['names no client', {}],
    ['names two clients', { client_id: 'bot', azp: 'other' }],
    ['names a client with characters that nobody sees', { client_id: 'bot\u200b' }],
  ] as const)('refuses a token that %s', async ([, claims], { delegated: env }) => {
    const answer = env.call('/api/accounts', { claims: { sub: 'walter', ...claims } });
    expect(await answered(answer)).toMatchObject({ status: 401, code: 'token_claims' });
  });
});
