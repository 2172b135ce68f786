// Conditions over real sockets: values of other types than the rules' authors thought of, and values that are expensive
// to look at. What the upstream received is what counts.

import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import { type Environment, writtenBy } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    rules: [
      rule.hold('forced', { upstream: 'api', path: '/forced' }, { when: 'args.force == true' }),
      rule.allow('forced-else', { upstream: 'api', path: '/forced' }),
      rule.deny('production', { upstream: 'api', path: '/deployments' }, { when: 'args.env in ["prod", "stage"]' }),
      rule.allow('deployments', { upstream: 'api', path: '/deployments' }, { when: 'args.env != "prod"' }),
      rule.allow('small', { upstream: 'api', path: '/payments' }, { when: 'args.amount > 0 && args.amount <= 100' }),
      rule.hold(
        'twins',
        { upstream: 'api', path: '/batches' },
        { when: 'args.items.exists(x, args.items.filter(y, y == x).size() > 1)' },
      ),
      rule.allow('batches', { upstream: 'api', path: '/batches' }),
      rule.allow(
        'listed',
        { upstream: 'api', path: '/listed' },
        { when: 'args.items.all(x, args.items.exists(y, y == x))' },
      ),
      rule.deny('searched', { upstream: 'api', path: '/search' }, { when: 'request.query.dry != "1"' }),
      rule.allow('search', { upstream: 'api', path: '/search' }),
    ],
    limits: { wait: '0s', pendingPerAgent: 200 },
  }),
);

async function outcome(env: Environment, path: string, body: unknown): Promise<readonly [number, string | undefined]> {
  const before = env.upstream.requests.length;
  const answer = await env.call(`/api${path}`, { method: 'POST', body });
  const text = await answer.text();
  const reached = env.upstream.requests.length - before;
  expect(reached).toBe(answer.status === 200 ? 1 : 0);
  return [answer.status, answer.status === 200 ? undefined : (JSON.parse(text) as { code: string }).code];
}

it('a hold rule is not passed by a value of another type', async ({ env }) => {
  for (const force of ['true', 1, [true], null, { $eq: true }, 'yes', [[true]]]) {
    expect([force, ...(await outcome(env, '/forced', { force }))]).toEqual([force, 409, 'approval_pending']);
  }
  expect(await outcome(env, '/forced', {})).toEqual([409, 'approval_pending']);
  expect(await outcome(env, '/forced', { force: false })).toEqual([200, undefined]);
});

it('nor is a deny rule, nor does an allow rule with a negation take one', async ({ env }) => {
  for (const of of [['prod'], null, 5, { $ne: 'prod' }, [['prod']], true])
    expect([of, ...(await outcome(env, '/deployments', { env: of }))]).toEqual([of, 403, 'denied']);
  expect(await outcome(env, '/deployments', { env: 'dev' })).toEqual([200, undefined]);
  expect(await outcome(env, '/deployments', { env: 'stage' })).toEqual([403, 'denied']);
});

it('an amount is bounded at both ends', async ({ env }) => {
  for (const amount of [-5, 0, 101, '50', [50], null, -1e9])
    expect([amount, ...(await outcome(env, '/payments', { amount }))]).toEqual([amount, 403, 'no_matching_rule']);
  expect(await outcome(env, '/payments', { amount: 50 })).toEqual([200, undefined]);
});

it('a query parameter that comes twice, or not at all, is not unequal to anything', async ({ env }) => {
  for (const query of ['dry=1&dry=1', 'dry=0&dry=1', '', 'other=1', 'dry=2'])
    expect((await outcome(env, `/search?${query}`, {}))[0]).toBe(403);
  expect(await outcome(env, '/search?dry=1', {})).toEqual([200, undefined]);
});

it('a condition that is expensive to evaluate counts as failed, blocks nobody, and the log says so', async ({
  env,
}) => {
  const items = Array.from({ length: 41_000 }, (_, index) => index);
  const alive = fetch(`http://127.0.0.1:${env.ports.ops}/livez`);
  expect(await outcome(env, '/batches', { items })).toEqual([409, 'approval_pending']);
  expect(await outcome(env, '/batches', { items: [1, 2] })).toEqual([200, undefined]);
  expect(await outcome(env, '/listed', { items })).toEqual([403, 'no_matching_rule']);
  expect(await outcome(env, '/listed', { items: [1, 2] })).toEqual([200, undefined]);
  expect((await alive).status).toBe(200);
  await expect
    .poll(() => env.log.filter(({ reasons }) => Array.isArray(reasons) && reasons.includes('over_budget')).length)
    .toBe(2);
  expect(writtenBy(env)).toContain('"why":"over_budget"');
});
