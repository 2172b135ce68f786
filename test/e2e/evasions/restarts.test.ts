// What was read, paid and seen before the gateway ended is known after it has started again: after SIGTERM, after
// kill -9, and after a kill -9 in the very moment in which the first byte of the answer reached the agent. Kind: a fact
// that lives in memory only, or is written after its effect.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import {
  MARKING,
  newAgent,
  openTask,
  post,
  STOPPED,
  sendsUnless,
  WAYS,
  wayOf,
  worldTest,
} from '../../support/reads-and-sends.ts';

const it = worldTest({
  ...MARKING,
  meters: {
    paid: {
      match: { upstream: 'api', path: '/pay' },
      value: 'args.amount',
      per: ['agent'],
      window: '24h',
      durable: 'strict',
    },
  },
  rules: [
    ...sendsUnless('"customer-data" in tainted'),
    rule.deny('cap', { upstream: 'api', path: '/pay' }, { when: 'meter.paid > 100' }),
  ],
});

describe.for(WAYS)('over %s, a restart', (name) => {
  // Passed unseen once: nothing about the agent outlives the task, restart or not.
  it.for(['terminate', 'kill'] as const)('by %s does not wash the reader clean', async (how, { world }) => {
    const [way, agent] = [wayOf(name, world), newAgent()];
    await way.read(agent);
    await world.env[how]();
    await world.env.start();
    expect(await way.send(agent)).toMatch(STOPPED);
    expect(await way.send(newAgent())).toBe('sent');
  });
});

// Passed unseen once: the call is noted in memory first, and what the first byte told is known to the agent alone.
it('kill -9 between the first byte of the answer and its last one leaves the mark', async ({ world }) => {
  const { env } = world;
  for (let round = 0; round < 3; round++) {
    const agent = await openTask(env, newAgent());
    env.upstream.respond((_request, response) => void response.write('the first half of a secret'));
    const answer = await env.call('/api/customers/3', {
      as: agent.as,
      headers: { 'countersign-task': agent.task ?? '' },
    });
    await answer.body?.getReader().read();
    await env.kill();
    env.upstream.respond((_request, response) => response.end('{"ok":true}'));
    await env.start();
    expect(await wayOf('plain HTTP', world).send({ as: agent.as })).toMatch(STOPPED);
  }
});

// Passed unseen once: nothing is counted.
it.for(['terminate', 'kill'] as const)('what was paid is counted after %s', async (how, { world }) => {
  const agent = newAgent();
  expect(await post(world.env, '/api/pay', agent, { amount: 60 })).toBe('sent');
  await world.env[how]();
  await world.env.start();
  expect(await post(world.env, '/api/pay', agent, { amount: 60 })).toBe('denied');
  expect(await post(world.env, '/api/pay', agent, { amount: 40 })).toBe('sent');
});
