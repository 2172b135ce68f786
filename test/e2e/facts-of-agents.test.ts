// What the gateway has counted of an agent and knows of it, as reviewers see it, and what of that a restart and a kill
// leave. Kind: a count that is lost, or that people cannot look at.

import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { gatewayTest } from '../support/gateway-test.ts';
import { type Agent, newAgent, post } from '../support/reads-and-sends.ts';

const it = gatewayTest.extend('env', ({ environment }) =>
  environment({
    meters: {
      paid: {
        match: { upstream: 'api', path: '/pay' },
        value: 'args.amount',
        per: ['agent'],
        window: '24h',
        durable: 'strict',
      },
      asked: { match: { upstream: 'api', path: '/ask' }, value: 'args.amount', per: ['agent'], window: '24h' },
    },
    resources: [{ id: 'payments', match: { upstream: 'api', path: '/pay' }, sendsTo: ['args.to'] }],
    rules: [
      rule.allow('pay', { upstream: 'api', path: '/pay' }, { when: 'meter.paid <= 100' }),
      rule.hold('ask', { upstream: 'api', path: '/ask' }, { when: 'meter.asked <= 100 && !novel.agent' }),
    ],
    reviewers: { watch: ['group:finance'] },
    limits: { wait: '0s', pendingPerAgent: 1000 },
  }),
);

async function factsOf(env: Environment, { as }: Agent) {
  const alice = await env.reviewer('alice');
  return alice.read<Record<string, unknown>>(`/facts?agent=${encodeURIComponent(`${env.issuer.issuer}#${as}`)}`);
}

it('are shown, and outlive a kill: strict counts, and what open holds reserve', async ({ env }) => {
  const agent = newAgent();
  expect(await post(env, '/api/pay', agent, { amount: 60.5, to: 'DE02 1203' })).toBe('sent');
  expect(await post(env, '/api/ask', agent, { amount: 70 })).toBe('approval_pending');
  const known = {
    meters: {
      paid: { counted: 60.5, reserved: 0, windowMs: 86_400_000 },
      asked: { counted: 0, reserved: 70, windowMs: 86_400_000 },
    },
  };
  await expect
    .poll(() => factsOf(env, agent), { timeout: 5_000 })
    .toMatchObject({
      ...known,
      novelty: expect.arrayContaining([
        { operation: 'resource payments', until: expect.any(String) },
        { operation: 'resource payments', target: 'id de021203', until: expect.any(String) },
      ]),
    });
  await env.kill();
  await env.start();
  expect(await factsOf(env, agent)).toMatchObject(known);
  expect(await post(env, '/api/pay', agent, { amount: 40, to: 'DE02 1203' })).toBe('no_matching_rule');
  expect(await post(env, '/api/ask', agent, { amount: 31 })).toBe('no_matching_rule');
});
