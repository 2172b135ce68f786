// Conditions over real sockets: values of other types than the rules' authors thought of, and values that are expensive
// to look at. What the upstream received is what counts.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Environment, startEnvironment, writtenBy } from '../support/environment.ts';

let env: Environment;

beforeAll(async () => {
  env = await startEnvironment({
    limits: '{ wait: 0s, pendingPerAgent: 200 }',
    rules: `
  - { id: forced, match: { upstream: api, path: /forced }, when: args.force == true, decide: hold, tier: payment }
  - { id: forced-else, match: { upstream: api, path: /forced }, decide: allow }
  - { id: production, match: { upstream: api, path: /deployments }, when: 'args.env in ["prod", "stage"]', decide: deny }
  - { id: deployments, match: { upstream: api, path: /deployments }, when: 'args.env != "prod"', decide: allow }
  - { id: small, match: { upstream: api, path: /payments }, when: args.amount > 0 && args.amount <= 100, decide: allow }
  - { id: twins, match: { upstream: api, path: /batches }, when: 'args.items.exists(x, args.items.filter(y, y == x).size() > 1)', decide: hold, tier: payment }
  - { id: batches, match: { upstream: api, path: /batches }, decide: allow }
  - { id: listed, match: { upstream: api, path: /listed }, when: 'args.items.all(x, args.items.exists(y, y == x))', decide: allow }
  - { id: searched, match: { upstream: api, path: /search }, when: request.query.dry != "1", decide: deny }
  - { id: search, match: { upstream: api, path: /search }, decide: allow }
`,
  });
});
afterAll(() => env.close());

async function outcome(path: string, body: unknown): Promise<readonly [number, string | undefined]> {
  const before = env.upstream.requests.length;
  const answer = await env.call(`/api${path}`, { method: 'POST', body });
  const text = await answer.text();
  const reached = env.upstream.requests.length - before;
  expect(reached).toBe(answer.status === 200 ? 1 : 0);
  return [answer.status, answer.status === 200 ? undefined : (JSON.parse(text) as { code: string }).code];
}

it('a hold rule is not passed by a value of another type', async () => {
  for (const force of ['true', 1, [true], null, { $eq: true }, 'yes', [[true]]]) {
    expect([force, ...(await outcome('/forced', { force }))]).toEqual([force, 409, 'approval_pending']);
  }
  expect(await outcome('/forced', {})).toEqual([409, 'approval_pending']);
  expect(await outcome('/forced', { force: false })).toEqual([200, undefined]);
});

it('nor is a deny rule, nor does an allow rule with a negation take one', async () => {
  for (const of of [['prod'], null, 5, { $ne: 'prod' }, [['prod']], true])
    expect([of, ...(await outcome('/deployments', { env: of }))]).toEqual([of, 403, 'denied']);
  expect(await outcome('/deployments', { env: 'dev' })).toEqual([200, undefined]);
  expect(await outcome('/deployments', { env: 'stage' })).toEqual([403, 'denied']);
});

it('an amount is bounded at both ends', async () => {
  for (const amount of [-5, 0, 101, '50', [50], null, -1e9])
    expect([amount, ...(await outcome('/payments', { amount }))]).toEqual([amount, 403, 'no_matching_rule']);
  expect(await outcome('/payments', { amount: 50 })).toEqual([200, undefined]);
});

it('a query parameter that comes twice, or not at all, is not unequal to anything', async () => {
  for (const query of ['dry=1&dry=1', 'dry=0&dry=1', '', 'other=1', 'dry=2'])
    expect((await outcome(`/search?${query}`, {}))[0]).toBe(403);
  expect(await outcome('/search?dry=1', {})).toEqual([200, undefined]);
});

it('a condition that is expensive to evaluate counts as failed, blocks nobody, and the log says so', async () => {
  const items = Array.from({ length: 41_000 }, (_, index) => index);
  const alive = fetch(`http://127.0.0.1:${env.ports.ops}/livez`);
  expect(await outcome('/batches', { items })).toEqual([409, 'approval_pending']);
  expect(await outcome('/batches', { items: [1, 2] })).toEqual([200, undefined]);
  expect(await outcome('/listed', { items })).toEqual([403, 'no_matching_rule']);
  expect(await outcome('/listed', { items: [1, 2] })).toEqual([200, undefined]);
  expect((await alive).status).toBe(200);
  await expect
    .poll(() => env.log.filter(({ reasons }) => Array.isArray(reasons) && reasons.includes('over_budget')).length)
    .toBe(2);
  expect(writtenBy(env)).toContain('"why":"over_budget"');
});
