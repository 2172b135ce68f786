// Owners of resources as those who decide. Kinds: a call that waits for somebody who may not decide, an owner of two
// resources who counts twice, owners that change between two votes, a hold that nobody can approve.

import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type Answered, answered } from './held.ts';

const serial = countFrom(0);
const resource = (id: string, path: string, owners?: string[]) => ({
  id,
  match: { upstream: 'api', methods: ['POST' as const], path },
  ...(owners && { owners }),
});
const RESOURCES = [
  resource('crm', '/crm', ['group:crm-owners']),
  resource('crm-and-more', '/shared', ['group:crm-owners']),
  resource('also-shared', '/shared', ['user:cfo', 'group:treasury']),
  resource('equal', '/equal', ['user:cfo', 'group:treasury']),
  resource('equal-too', '/equal', ['group:treasury', 'user:cfo']),
  resource('nobodys', '/nobodys'),
  resource('nobodys', '/late'),
  resource('agents-own', '/agents-own', ['user:agent-1', 'user:olga']),
  resource('one', '/one', ['user:cfo']),
  resource('moving', '/moving', ['group:crm-owners']),
].map((each, at) => ({ ...each, id: `${each.id}-${at}` }));

const it = gatewayTest
  .extend('env', file, ({ environment }) =>
    environment(({ issuer }) => ({
      identity: { owners: { [`${issuer}#agent-1`]: ['olga'] } },
      resources: RESOURCES,
      tiers: {
        owner: { reviewers: ['owner'] },
        two: { reviewers: ['owner'], count: 2 },
        both: { require: [{ from: 'owner' }, { from: 'group:security' }] },
        late: { reviewers: ['owner'], escalate: { after: '1s', to: ['group:duty'] } },
      },
      rules: [
        ...['crm', 'shared', 'equal', 'nobodys', 'agents-own', 'moving', 'elsewhere'].map((path) =>
          rule.hold(path, { upstream: 'api', methods: ['POST'], path: `/${path}` }, { tier: 'owner' }),
        ),
        rule.hold('late', { upstream: 'api', methods: ['POST'], path: '/late' }, { tier: 'late' }),
        rule.hold('one', { upstream: 'api', methods: ['POST'], path: '/one' }, { tier: 'two' }),
        rule.hold('with-security', { upstream: 'api', methods: ['POST'], path: '/equal' }, { tier: 'both' }),
      ],
      limits: { wait: '0s', pendingPerAgent: 1000 },
    })),
  )
  .extend('carl', file, ({ env }) => env.reviewer('carl', ['crm-owners']))
  .extend('cfo', file, ({ env }) => env.reviewer('cfo', []))
  .extend('tom', file, ({ env }) => env.reviewer('tom', ['treasury']))
  .extend('sam', file, ({ env }) => env.reviewer('sam', ['security']));

/** A call of its own, and how to send it again. */
async function ask(env: Environment, path: string): Promise<Answered & { again(): Promise<Answered> }> {
  const body = { n: serial() };
  const again = () => answered(env.call(`/api/${path}`, { method: 'POST', body }));
  return { ...(await again()), again };
}

describe('a tier that asks for owners', () => {
  it('is decided by the owners of what the call concerns, and by nobody else', async ({ env, carl, sam }) => {
    const { hold, again } = await ask(env, 'crm');
    expect((await sam.request(`/holds/${hold}`)).status).toBe(404);
    expect((await carl.show(hold)).requirements).toMatchObject([
      { tier: 'owner', from: ['owner'], reviewers: ['group:crm-owners'], count: 1 },
    ]);
    await carl.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });

  it('needs an owner of each resource', async ({ env, carl, cfo }) => {
    const { hold, again } = await ask(env, 'shared');
    await carl.approve(hold);
    expect((await again()).code).toBe('approval_pending');
    await cfo.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });

  it('counts somebody who owns both once', async ({ env, cfo }) => {
    const both = await env.reviewer('beth', ['crm-owners', 'treasury']);
    const { hold, again } = await ask(env, 'shared');
    await both.approve(hold);
    expect((await again()).code).toBe('approval_pending');
    await cfo.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });

  it('takes equal lists for one, and adds the seats of other tiers', async ({ env, cfo, tom, sam }) => {
    const { hold, again } = await ask(env, 'equal');
    const { requirements } = await cfo.show(hold);
    expect(requirements).toMatchObject([
      { tier: 'owner', reviewers: ['group:treasury', 'user:cfo'] },
      { tier: 'both', reviewers: ['group:treasury', 'user:cfo'] },
      { tier: 'both', reviewers: ['group:security'] },
    ]);
    await Promise.all([cfo.approve(hold), tom.approve(hold)]);
    expect((await again()).code).toBe('approval_pending');
    await sam.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });
});

describe('a call that nobody can approve', () => {
  it.for([
    ['no matching resource names an owner', 'nobodys'],
    ['no resource matches', 'elsewhere'],
    ['its owners are the agent and who answers for the agent', 'agents-own'],
    ['fewer owners are named than must approve', 'one'],
  ])('because %s, is refused at once', async ([, path = ''], { env }) => {
    const sent = env.upstream.requests.length;
    const answer = await ask(env, path);
    expect(answer).toMatchObject({ status: 403, code: 'no_eligible_reviewer', hold: '' });
    expect(answer.text).toContain(path === 'nobodys' || path === 'elsewhere' ? 'names an owner' : 'may decide');
    expect(await (await env.reviewer('carl', ['crm-owners', 'treasury'])).list('all')).not.toContainEqual(
      expect.objectContaining({ action: expect.objectContaining({ target: `/${path}` }) }),
    );
    expect(env.upstream.requests.length).toBe(sent);
  });

  it('waits for those who are asked later, where there are any', async ({ env }) => {
    const duty = await env.reviewer('dora', ['duty']);
    const { hold, again, code } = await ask(env, 'late');
    expect(code).toBe('approval_pending');
    await expect.poll(async () => (await duty.request(`/holds/${hold}`)).status, { timeout: 10_000 }).toBe(200);
    await duty.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });
});

describe('a change of the owners', () => {
  const own = (env: Environment, path: string, owners: string[]) =>
    env.edit((config) => {
      const entry = config.resources?.find(({ match }) => match.path === path);
      if (entry !== undefined) entry.owners = owners;
    });

  it('voids what the former owners approved', async ({ env, carl }) => {
    const { hold, again } = await ask(env, 'moving');
    await carl.approve(hold);
    expect(await own(env, '/moving', ['group:treasury'])).toBe('config.reloaded');
    expect(await again()).toMatchObject({ status: 403, code: 'approval_invalidated' });
  });

  it('between two votes voids the hold, whatever votes it had', async ({ env, carl, tom }) => {
    const { hold, again } = await ask(env, 'shared');
    await carl.approve(hold);
    await own(env, '/shared', ['group:nobody']);
    // The votes still count for what was shown; what is shown is no longer what would happen.
    await tom.approve(hold);
    expect(await again()).toMatchObject({ status: 403, code: 'approval_invalidated' });
    await own(env, '/shared', ['group:crm-owners']);
  });

  it('of something else voids nothing', async ({ env, carl }) => {
    const { hold, again } = await ask(env, 'crm');
    await carl.approve(hold);
    await own(env, '/one', ['user:cfo', 'user:other']);
    expect(await again()).toMatchObject({ status: 200, hold });
  });

  it('survives a restart as it was', async ({ env, carl }) => {
    const { hold, again } = await ask(env, 'crm');
    await env.kill();
    await env.start();
    await carl.approve(hold);
    expect(await again()).toMatchObject({ status: 200, hold });
  });
});
