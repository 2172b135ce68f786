// An approval that was given on facts which have changed since: a mark has landed, a meter has filled, a resource was
// reclassified. Kind: a decision of people that is used for something else than they looked at.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import { file } from '../../support/gateway-test.ts';
import { type Agent, get, MARKING, newAgent, post, worldTest } from '../../support/reads-and-sends.ts';
import { answered } from '../held.ts';

const it = worldTest({
  ...MARKING,
  destinations: { internal: ['*.corp.example'] },
  resources: [...MARKING.resources, { id: 'files', match: { upstream: 'api', path: '/files' }, data: 'internal' }],
  meters: { paid: { match: { upstream: 'api', path: '/pay' }, value: 'args.amount', per: ['agent'], window: '24h' } },
  rules: [
    rule.allow('http', { upstream: 'api' }),
    rule.hold('send', { upstream: 'api', path: '/send' }),
    rule.hold('leak', { upstream: 'api', path: '/send' }, { when: '"customer-data" in tainted' }),
    rule.hold('files', { upstream: 'api', path: '/files' }),
    rule.hold('pay', { upstream: 'api', path: '/held-pay' }, { when: 'meter.paid >= 0' }),
    rule.deny('full', { upstream: 'api', path: '/held-pay' }, { when: 'meter.paid > 100' }),
  ],
}).extend('alice', file, ({ env }) => env.reviewer('alice'));

type World = { readonly env: Parameters<typeof get>[0] };

const sending = ({ env }: World, path: string, { as }: Agent) => {
  const body = { mark: as };
  return () => answered(env.call(path, { method: 'POST', as, body, headers: { prefer: 'wait=0' } }));
};

describe('an approval', () => {
  it('is used where nothing has changed, and where a mark stood before already', async ({ world, alice }) => {
    for (const marked of [false, true]) {
      const agent = newAgent();
      if (marked) expect(await get(world.env, '/api/customers/1', agent)).toBe('sent');
      const send = sending(world, '/api/send', agent);
      await alice.approve((await send()).hold);
      if (marked) expect(await get(world.env, '/api/customers/1', agent)).toBe('sent');
      expect((await send()).status).toBe(200);
    }
  });

  it('is void when a mark has landed because of which one more rule matches', async ({ world, alice }) => {
    const agent = newAgent();
    const send = sending(world, '/api/send', agent);
    const { hold } = await send();
    await alice.approve(hold);
    expect(await get(world.env, '/api/customers/1', agent)).toBe('sent');
    const voided = await send();
    expect(voided).toMatchObject({ status: 403, code: 'approval_invalidated', hold });
    // What changed is named, for the agent or for the people who approved.
    expect(voided.text + JSON.stringify(await alice.show(hold))).toContain('the mark customer-data');
    expect(world.env.upstream.requests.some(({ body }) => body.includes(agent.as))).toBe(false);
  });

  it('is void when a meter has filled so that a rule denies', async ({ world, alice }) => {
    const agent = newAgent();
    const send = sending(world, '/api/held-pay', agent);
    await alice.approve((await send()).hold);
    expect(await post(world.env, '/api/pay', agent, { amount: 101 })).toBe('sent');
    expect((await send()).code).toMatch(/^(denied|approval_invalidated)$/);
  });

  it('is void when a reload classifies the call anew, and not when the reload is about something else', async ({
    world,
    alice,
  }) => {
    const [kept, voided] = [sending(world, '/api/files', newAgent()), sending(world, '/api/files', newAgent())];
    await alice.approve((await kept()).hold);
    await alice.approve((await voided()).hold);
    await world.env.edit((config) => {
      Object.assign(config, { destinations: { internal: ['*.corp.example'], partner: ['*.acme.example'] } });
    });
    expect((await kept()).status).toBe(200);
    await world.env.edit((config) => {
      const { resources } = config as unknown as { resources: { id: string; data: string }[] };
      for (const resource of resources) if (resource.id === 'files') resource.data = 'restricted';
    });
    expect((await voided()).code).toBe('approval_invalidated');
  });
});
