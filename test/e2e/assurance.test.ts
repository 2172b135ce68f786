// How strongly a voter must prove who they are, at the reviewers' API. Kinds: a password that passes where a
// phishing-resistant sign-in was asked for, a claim that looks like another one, a clock that makes an old sign-in fresh.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

const serial = countFrom(0);
const TIERS = {
  phr: { reviewers: ['group:finance'], assurance: { acr: ['phr', 'phrh'] } },
  recent: { reviewers: ['group:finance'], assurance: { maxAge: '2m' } },
  strong: { reviewers: ['group:finance'], assurance: { acr: ['phr'], maxAge: '10m' } },
  signed: { reviewers: ['group:finance'], assurance: { passkey: true } },
  stepped: { reviewers: ['group:finance'], stepUp: true },
  hardware: { reviewers: ['group:finance'], assurance: { acr: ['phrh'], maxAge: '5m' } },
};

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment((started) => ({
    listeners: { reviewers: { url: 'http://localhost:18790' } },
    tiers: TIERS,
    rules: [
      ...Object.keys(TIERS).map((tier) =>
        rule.hold(tier, { upstream: 'api', methods: ['POST'], path: `/${tier}` }, { tier }),
      ),
      rule.hold('both-a', { upstream: 'api', methods: ['POST'], path: '/both' }, { tier: 'phr' }),
      rule.hold('both-b', { upstream: 'api', methods: ['POST'], path: '/both' }, { tier: 'hardware' }),
    ],
    reviewers: { login: { issuer: started.issuer, clientId: 'desk' } },
    limits: { wait: '0s', pendingPerAgent: 1000 },
  })),
);

const NOW = () => Math.floor(Date.now() / 1000);
const ask = async (env: Environment, path: string) =>
  (await answered(env.call(`/api/${path}`, { method: 'POST', body: { n: serial() } }))).hold;
const vote = async (env: Environment, path: string, claims: object, decision: 'approve' | 'deny' = 'approve') => {
  const hold = await ask(env, path);
  const reviewer = await env.reviewer('alice', ['finance'], { ...claims, jti: `t${serial()}` });
  return { ...(await answered(reviewer.vote(hold, decision))), hold };
};

describe('a vote by token', () => {
  it.for<[string, string, object, string]>([
    ['by an acr that the tier lists', 'phr', { acr: 'phrh' }, '200'],
    ['by an acr of another name', 'phr', { acr: 'pwd' }, '401 assurance_required'],
    ['without an acr', 'phr', {}, '401 assurance_required'],
    ['by an acr in other letters', 'phr', { acr: 'PHR' }, '401 assurance_required'],
    ['by an acr that only begins alike', 'phr', { acr: 'phr urn:other' }, '401 assurance_required'],
    ['by a list of acr', 'phr', { acr: ['phr'] }, '401 assurance_required'],
    ['by amr in place of acr', 'phr', { amr: ['phr'] }, '401 assurance_required'],
    ['within maxAge', 'recent', { auth_time: NOW() - 60 }, '200'],
    ['past maxAge', 'recent', { auth_time: NOW() - 130 }, '401 assurance_required'],
    ['without auth_time', 'recent', { auth_time: undefined, sid: 's' }, '401 assurance_required'],
    ['with an auth_time in the far future', 'recent', { auth_time: NOW() + 3600 }, '401 assurance_required'],
    ['with an auth_time that is no number', 'recent', { auth_time: `${NOW()}`, sid: 's' }, '401 assurance_required'],
    ['by a clock that runs a little ahead', 'recent', { auth_time: NOW() + 30 }, '200'],
    ['by both', 'strong', { acr: 'phr', auth_time: NOW() - 400 }, '200'],
    ['by the acr alone', 'strong', { acr: 'phr', auth_time: NOW() - 700 }, '401 assurance_required'],
    ['by the time alone', 'strong', { acr: 'pwd' }, '401 assurance_required'],
    ['where a passkey is asked for', 'signed', { acr: 'phr', amr: ['swk'] }, '401 assurance_required'],
    ['within five minutes, for stepUp', 'stepped', { auth_time: NOW() - 240 }, '200'],
    ['past five minutes, for stepUp', 'stepped', { auth_time: NOW() - 330 }, '401 step_up_required'],
    ['that meets both tiers', 'both', { acr: 'phrh' }, '200'],
    ['that meets one of two tiers', 'both', { acr: 'phr' }, '401 assurance_required'],
  ])('%s', async ([, path, claims, expected], { env }) => {
    const { status, code } = await vote(env, path, claims);
    expect(code === undefined ? `${status}` : `${status} ${code}`).toBe(expected);
  });

  it('that denies needs the same', async ({ env }) => {
    expect(await vote(env, 'phr', {}, 'deny')).toMatchObject({ status: 401, code: 'assurance_required' });
  });
});

describe('the refusal', () => {
  it('says what is asked for, where the person can do it, and as RFC 9470 says it', async ({ env }) => {
    const { hold, headers, json } = await vote(env, 'strong', { auth_time: NOW() - 700 });
    expect(json).toMatchObject({
      acr_values: 'phr',
      max_age: 600,
      page: `http://localhost:18790/holds/${hold}`,
    });
    expect(headers.get('www-authenticate')).toMatch(
      /^Bearer .*error="insufficient_user_authentication".*, max_age=600, acr_values="phr"/,
    );
  });

  it('names only the acr that all tiers take', async ({ env }) => {
    expect((await vote(env, 'both', {})).json).toMatchObject({ acr_values: 'phrh', max_age: 300 });
  });

  it('says that only a passkey does, and asks for no other sign-in', async ({ env }) => {
    const { hold, json, headers } = await vote(env, 'signed', {});
    expect(json).toMatchObject({ passkey: true, page: `http://localhost:18790/holds/${hold}` });
    expect(json).not.toHaveProperty('acr_values');
    expect(json).not.toHaveProperty('max_age');
    expect(headers.get('www-authenticate')).toContain('error="insufficient_user_authentication"');
  });
});

describe('the hold', () => {
  it('shows what its tiers ask for', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const shown = async (path: string) => (await alice.show(await ask(env, path))).requirements;
    expect(await shown('strong')).toMatchObject([{ stepUp: false, assurance: { acr: ['phr'], maxAgeSeconds: 600 } }]);
    expect((await shown('phr')) as object[]).toMatchObject([{ assurance: { acr: ['phr', 'phrh'] } }]);
    expect(await shown('signed')).toMatchObject([{ assurance: { passkey: true } }]);
    expect(await shown('stepped')).toMatchObject([{ stepUp: true, assurance: { maxAgeSeconds: 300 } }]);
  });

  it('is void when its tier asks for another assurance than its approval had', async ({ env }) => {
    const body = { n: serial() };
    const send = () => answered(env.call('/api/phr', { method: 'POST', body }));
    const { hold } = await send();
    await (await env.reviewer('alice', ['finance'], { acr: 'phr', jti: `t${serial()}` })).approve(hold);
    await env.edit(({ tiers }) => {
      tiers.phr = { reviewers: ['group:finance'], assurance: { acr: ['phrh'] } };
    });
    expect(await send()).toMatchObject({ status: 403, code: 'approval_invalidated' });
  });
});
