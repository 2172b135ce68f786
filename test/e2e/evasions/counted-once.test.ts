// The amount that a hold reserves is used for more than one call, and a call that was sent is asked for once more. Kind: a
// reservation that stands for a call, and that several calls refer to.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { type Agent, newAgent, outcomeOf, post, worldTest } from '../../support/reads-and-sends.ts';

const it = worldTest({
  limits: { wait: '30s', pendingPerAgent: 1000 },
  meters: {
    paid: { match: { upstream: 'api', path: '/pay' }, value: 'args.amount', per: ['agent'], window: '24h' },
    held: { match: { upstream: 'api', path: '/held-pay' }, value: 'args.amount', per: ['agent'], window: '24h' },
  },
  resources: [{ id: 'payments', match: { upstream: 'api', path: '/pay' }, operation: 'transfer' }],
  rules: [
    rule.allow('pay', { upstream: 'api', path: '/pay' }, { when: 'meter.paid <= 100' }),
    rule.deny('pay-more', { upstream: 'api', path: '/pay' }, { when: 'meter.paid > 100' }),
    rule.hold('first-pay', { upstream: 'api', path: '/pay' }, { when: 'novel.operation && args.amount > 1' }),
    rule.hold('held-pay', { upstream: 'api', path: '/held-pay' }),
    rule.deny('held-cap', { upstream: 'api', path: '/held-pay' }, { when: 'meter.held > 100' }),
  ],
});

const send = (env: Environment, path: string, { as }: Agent, body: object, headers: Record<string, string> = {}) =>
  env.call(path, { as, method: 'POST', body, headers: { prefer: 'wait=0', ...headers } });

describe('what a hold reserves', () => {
  // Each of the calls saw the amount of the hold in place of its own, so together they passed the limit.
  it('stands for one of the identical calls that a rule allows by now', async ({ env }) => {
    const agent = newAgent();
    const body = { amount: 60, to: agent.as };
    expect(await outcomeOf(send(env, '/api/pay', agent, body))).toBe('approval_pending');
    expect(await post(env, '/api/pay', agent, { amount: 1 })).toBe('sent');
    const calls = Array.from({ length: 8 }, () => outcomeOf(send(env, '/api/pay', agent, body)));
    const sent = (await Promise.all(calls)).filter((outcome) => outcome === 'sent');
    expect(sent.length).toBeLessThanOrEqual(1);
    expect(env.upstream.requests.filter((request) => request.body.includes(agent.as)).length).toBe(sent.length);
  });
});

describe('a call that was approved and sent, repeated with its Idempotency-Key', () => {
  // It was told that it is denied and that nothing was executed, of a payment that was executed.
  it('is told so, also when its amount would pass the limit a second time', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const once = () => send(env, '/api/held-pay', agent, { amount: 60 }, { 'idempotency-key': agent.as });
    const held = await once();
    await alice.approve(held.headers.get('countersign-hold') ?? '');
    expect((await once()).status).toBe(200);
    expect(await outcomeOf(once())).toBe('already_sent');
    // Nothing of that makes room for another payment.
    expect(await post(env, '/api/held-pay', agent, { amount: 60 })).toBe('denied');
  });

  // The second of them was judged when the first was counted already.
  it('is sent once and told so, when two connections waited for the approval', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const key = { 'idempotency-key': agent.as };
    const held = await send(env, '/api/held-pay', agent, { amount: 60 }, key);
    const wait = { prefer: 'wait=20', ...key };
    const waiting = Array.from({ length: 5 }, () => outcomeOf(send(env, '/api/held-pay', agent, { amount: 60 }, wait)));
    await alice.approve(held.headers.get('countersign-hold') ?? '');
    expect((await Promise.all(waiting)).sort()).toEqual([...Array(4).fill('already_sent'), 'sent']);
  });
});
