// Spending past a limit: by a negative amount, by amounts that are no numbers, by two holds that are each below the
// limit, by a second agent, and by many calls at once. Kind: a sum that the agent can lower, or that is compared before
// it is taken.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import { countFrom } from '../../support/count.ts';
import type { Environment } from '../../support/environment.ts';
import { connectV1, connectV2 } from '../../support/mcp-clients.ts';
import {
  type Agent,
  actingFor,
  newAgent,
  openTask,
  post,
  WAYS,
  type World,
  worldTest,
} from '../../support/reads-and-sends.ts';

const it = worldTest({
  meters: {
    paid: {
      match: { upstream: 'api', path: '/pay' },
      value: 'args.amount',
      per: ['agent', 'person', 'root'],
      window: '24h',
    },
    held: { match: { upstream: 'api', path: '/held-pay' }, value: 'args.amount', per: ['agent'], window: '24h' },
    moved: { match: { tool: 'transfer_funds' }, value: 'args.amount', per: ['agent', 'person'], window: '24h' },
    ofAll: { match: { upstream: 'api', path: '/pay-for-all' }, value: 'args.amount', per: ['all'], window: '24h' },
    ofTask: { match: { upstream: 'api', path: '/pay-by-task' }, value: 'args.amount', per: ['root'], window: '24h' },
    repos: {
      match: { upstream: 'api', path: '/repos/:owner/:repo/*' },
      distinct: 'request.params.repo',
      per: ['agent', 'root'],
      window: '24h',
    },
  },
  rules: [
    rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
    rule.allow('pay', { upstream: 'api', path: '/pay' }, { when: 'meter.paid <= 100' }),
    rule.deny('pay-more', { upstream: 'api', path: '/pay' }, { when: 'meter.paid > 100' }),
    rule.allow('for-all', { upstream: 'api', path: '/pay-for-all' }, { when: 'meter.ofAll <= 100' }),
    rule.allow('by-task', { upstream: 'api', path: '/pay-by-task' }, { when: 'meter.ofTask <= 100' }),
    rule.hold('held-pay', { upstream: 'api', path: '/held-pay' }),
    rule.deny('held-cap', { upstream: 'api', path: '/held-pay' }, { when: 'meter.held > 100' }),
    rule.allow('tools', { tool: '*' }),
    rule.deny('tool-cap', { tool: 'transfer_funds' }, { when: 'meter.moved > 100' }),
    rule.allow('repos', { upstream: 'api', path: '/repos/:owner/:repo/*' }),
    rule.deny('second-repo', { upstream: 'api', path: '/repos/:owner/:repo/*' }, { when: 'meter.repos > 1' }),
  ],
});

const pay = (env: Environment, agent: Agent, amount: unknown) => post(env, '/api/pay', agent, { amount });
const holdPay = (env: Environment, agent: Agent, amount: number) => post(env, '/api/held-pay', agent, { amount });

describe('the scopes of a meter', () => {
  it('`all` adds up what everybody does', async ({ env }) => {
    expect(await post(env, '/api/pay-for-all', newAgent(), { amount: 60 })).toBe('sent');
    expect(await post(env, '/api/pay-for-all', newAgent(), { amount: 60 })).toBe('no_matching_rule');
    expect(await post(env, '/api/pay-for-all', newAgent(), { amount: 40 })).toBe('sent');
  });

  // An agent that names no task must not count from zero at each call.
  it('a call that has none of them has no count, so no allow rule matches', async ({ env }) => {
    const agent = newAgent();
    expect(await post(env, '/api/pay-by-task', agent, { amount: 1 })).toBe('no_matching_rule');
    expect(await post(env, '/api/pay-by-task', await openTask(env, agent), { amount: 1 })).toBe('sent');
  });
});

describe('over plain HTTP', () => {
  // Passed unseen once: nothing is counted, and a rule sees one amount at a time.
  it('a limit is on the sum', async ({ env }) => {
    const agent = newAgent();
    expect([await pay(env, agent, 60), await pay(env, agent, 60), await pay(env, agent, 40)]).toEqual([
      'sent',
      'denied',
      'sent',
    ]);
  });

  // Passed unseen once. A meter that adds what the agent says could be lowered by it.
  it.for([-1, -1e9, '-50', 'NaN', null, [50], {}, true])(
    'an amount of %j is not counted down',
    async (amount, { env }) => {
      const agent = newAgent();
      expect(await pay(env, agent, 90)).toBe('sent');
      expect(await pay(env, agent, amount)).not.toBe('sent');
      expect(await pay(env, agent, 20)).toBe('denied');
      expect(await pay(env, agent, 10)).toBe('sent');
    },
  );

  it('nor is one that is missing, or without end', async ({ env }) => {
    expect(await post(env, '/api/pay', newAgent(), {})).not.toBe('sent');
    const endless = await env.call('/api/pay', { method: 'POST', as: newAgent().as, body: '{"amount":1e999}' });
    expect(endless.status).toBeGreaterThanOrEqual(400);
    expect(await pay(env, newAgent(), 1)).toBe('sent');
  });

  // Passed unseen once: each hold is looked at alone, and together they are over the limit.
  it('two holds that together pass the limit are not both opened', async ({ env }) => {
    const agent = newAgent();
    expect(await holdPay(env, agent, 60)).toBe('approval_pending');
    expect(await holdPay(env, agent, 60)).toBe('denied');
    expect(await holdPay(env, agent, 40)).toBe('approval_pending');
  });

  it('a hold that ends unsent gives back what it reserved, and one that was sent does not', async ({ env }) => {
    const [agent, alice] = [newAgent(), await env.reviewer('alice')];
    const body = { amount: 60, reference: agent.as };
    const options = { as: agent.as, method: 'POST', body, headers: { prefer: 'wait=0' } };
    const held = await env.call('/api/held-pay', options);
    await alice.deny(held.headers.get('countersign-hold') ?? '');
    const again = await env.call('/api/held-pay', { ...options, body: { ...body, reference: 'another' } });
    expect(again.status).toBe(409);
    await alice.approve(again.headers.get('countersign-hold') ?? '');
    expect((await env.call('/api/held-pay', { ...options, body: { ...body, reference: 'another' } })).status).toBe(200);
    expect(await holdPay(env, agent, 60)).toBe('denied');
  });

  // Passed unseen once: five calls are decided on before one of them is counted.
  it('many calls at once do not pass the limit together', async ({ env }) => {
    const agent = newAgent();
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => pay(env, agent, 10)));
    expect(outcomes.filter((outcome) => outcome === 'sent').length).toBeLessThanOrEqual(10);
    expect(outcomes.filter((outcome) => outcome === 'sent').length).toBeGreaterThan(0);
  });

  // Passed unseen once: the second agent has a limit of its own.
  it('two agents of one person share her limit', async ({ env }) => {
    const person = newAgent('person').as;
    expect(await pay(env, actingFor(person, newAgent()), 60)).toBe('sent');
    expect(await pay(env, actingFor(person, newAgent()), 60)).toBe('denied');
    expect(await pay(env, actingFor(newAgent().as, newAgent()), 60)).toBe('sent');
  });

  // Passed unseen once: a task begins anew.
  it('a new task has no new limit', async ({ env }) => {
    const agent = newAgent();
    expect(await pay(env, await openTask(env, agent), 60)).toBe('sent');
    expect(await pay(env, await openTask(env, agent), 60)).toBe('denied');
  });

  // Passed unseen once: what an upstream refuses may have happened all the same.
  it('what came back as an error counts', async ({ env }) => {
    const agent = newAgent();
    env.upstream.respond((_request, response) => response.writeHead(500).end('{}'));
    await (await env.call('/api/pay', { method: 'POST', as: agent.as, body: { amount: 60 } })).text();
    env.upstream.respond((_request, response) => response.end('{"ok":true}'));
    expect(await pay(env, agent, 60)).toBe('denied');
  });

  // Passed unseen once. Another spelling of a name that was seen is one more only where the upstream tells them apart.
  it('a second repository is noticed, and the first one twice is not', async ({ env }) => {
    const agent = newAgent();
    const write = (repo: string) => post(env, `/api/repos/bank/${repo}/issues`, agent, {});
    expect([await write('a'), await write('a'), await write('b'), await write('a')]).toEqual([
      'sent',
      'sent',
      'denied',
      'sent',
    ]);
  });
});

const serial = countFrom(1);

async function move(
  { env }: World,
  way: (typeof WAYS)[number],
  { as, claims }: Agent,
  amount: number,
): Promise<string> {
  const client =
    way === 'MCP SDK v1'
      ? (await connectV1(env, 'tools', { as, claims })).client
      : await connectV2(env, 'modern', { as, claims });
  const call = { name: 'transfer_funds', arguments: { amount, to: `account-${serial()}` } };
  const { isError, _meta } = (await client.callTool(call)) as { isError?: boolean; _meta?: Record<string, unknown> };
  return isError === true ? String(_meta?.['countersign/code']) : 'sent';
}

describe.for(WAYS.filter((way) => way !== 'plain HTTP'))('over %s', (way) => {
  // Passed unseen once: as over plain HTTP.
  it('a limit is on the sum, and a negative amount does not lower it', async ({ world }) => {
    const agent = newAgent();
    expect([
      await move(world, way, agent, 90),
      await move(world, way, agent, -50),
      await move(world, way, agent, 20),
    ]).toEqual(['sent', 'denied', 'denied']);
    expect(await move(world, way, agent, 10)).toBe('sent');
  });

  it('two agents of one person share her limit', async ({ world }) => {
    const person = newAgent('person').as;
    expect(await move(world, way, actingFor(person, newAgent()), 60)).toBe('sent');
    expect(await move(world, way, actingFor(person, newAgent()), 60)).toBe('denied');
  });
});
