// For each fact a row: what a call that is answered, denied, held, failed, cut, streamed, repeated or withheld does to
// it, and what a reload and a restart do to it. Kind: a fact that is written at the wrong moment, that an agent can
// write without effect, or that does not outlive the process.

import { describe, expect } from 'vitest';
import { EVENT_RULES, type EventName, type FactRow, happen, type Stage } from '../support/call-events.ts';
import { type GivenConfig, rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type Agent, actingFor, get, newAgent, post, written } from '../support/reads-and-sends.ts';

const LIMITS = { wait: '0s', pendingPerAgent: 1000 };
const REVIEWERS = { killSwitch: ['group:soc'] };
const given = (config: object): GivenConfig => written({ limits: LIMITS, reviewers: REVIEWERS, ...config });

const eventsOf = <Outcome extends string>(row: FactRow<Outcome>) => Object.entries(row) as [EventName, Outcome][];

/** One board for each event: a mark on a board stays for all who read it. */
const boardOf = (event: string) => `board-${event.replaceAll(' ', '-')}`;

const MARK: FactRow<'marked' | 'not marked'> = {
  answered: 'marked',
  denied: 'not marked',
  held: 'not marked',
  'denied by people': 'not marked',
  'given up': 'not marked',
  approved: 'marked',
  failed: 'marked',
  cut: 'not marked',
  streamed: 'marked',
  repeated: 'marked',
  withheld: 'not marked',
  'then a reload': 'marked',
  'then a restart': 'marked',
  'then kill -9': 'marked',
};

/** Of what a marked caller writes. A call that was cut may have written. */
const CARRIED: FactRow<'marked' | 'not marked' | 'either'> = { ...MARK, cut: 'either', withheld: 'either' };

const METER: FactRow<'not counted' | 'counted once'> = {
  answered: 'counted once',
  denied: 'not counted',
  held: 'counted once',
  'denied by people': 'not counted',
  'given up': 'not counted',
  approved: 'counted once',
  failed: 'counted once',
  cut: 'counted once',
  streamed: 'counted once',
  repeated: 'counted once',
  withheld: 'counted once',
  'then a reload': 'counted once',
  'then a restart': 'counted once',
  'then kill -9': 'counted once',
};

/** What is not known for certain is new, so that a rule about it is stricter: before an answer has ended, after kill -9. */
const NOVELTY: FactRow<'known' | 'new' | 'either'> = {
  answered: 'known',
  denied: 'new',
  held: 'new',
  'denied by people': 'new',
  'given up': 'new',
  approved: 'known',
  failed: 'new',
  cut: 'new',
  streamed: 'either',
  repeated: 'known',
  withheld: 'new',
  'then a reload': 'known',
  'then a restart': 'known',
  'then kill -9': 'either',
};

const NO_VIOLATION: FactRow<'none' | 'one'> = {
  answered: 'none',
  denied: 'none',
  held: 'none',
  'denied by people': 'none',
  'given up': 'none',
  approved: 'none',
  failed: 'none',
  cut: 'none',
  streamed: 'none',
  repeated: 'none',
  withheld: 'none',
  'then a reload': 'one',
  'then a restart': 'one',
  'then kill -9': 'one',
};
const VIOLATION_OF_RULES: FactRow<'none' | 'one'> = { ...NO_VIOLATION, denied: 'one' };
const VIOLATION_OF_PEOPLE: FactRow<'none' | 'one'> = { ...NO_VIOLATION, 'denied by people': 'one' };

const it = gatewayTest
  .extend('marks', file, async ({ environment }) =>
    staged(
      await environment(
        given({
          taints: { 'customer-data': { for: '24h' } },
          resources: [
            { id: 'customers', match: { upstream: 'api', path: '/customers/*' }, taints: ['customer-data'] },
            ...Object.keys(CARRIED).map((event) => ({
              ...{ id: boardOf(event), carries: true },
              match: { upstream: 'api', path: `/${boardOf(event)}/*` },
            })),
          ],
          rules: [
            ...EVENT_RULES,
            rule.deny('leak', { upstream: 'api', path: '/send' }, { when: '"customer-data" in tainted' }),
          ],
        }),
      ),
    ),
  )
  .extend('meters', file, async ({ environment }) =>
    staged(
      await environment(
        given({
          meters: {
            paid: {
              match: { upstream: 'api', path: '/pay/*' },
              ...{ value: 'args.amount', per: ['agent'], window: '24h', durable: 'strict' },
            },
          },
          rules: [...EVENT_RULES, rule.deny('cap', { upstream: 'api', path: '/pay/*' }, { when: 'meter.paid > 150' })],
        }),
      ),
    ),
  )
  .extend('novelty', file, async ({ environment }) =>
    staged(
      await environment(
        given({
          resources: [
            { id: 'mails', match: { upstream: 'api', path: '/mails/*' }, sendsTo: ['args.to'] },
            { id: 'things', match: { upstream: 'api', path: '/things/*' } },
          ],
          rules: [
            ...EVENT_RULES,
            // About every mail, so that every mail is read: where it goes stands in its body.
            rule.deny(
              'new-to',
              { upstream: 'api', path: '/mails/*' },
              { when: 'has(args.probe) && novel.destination' },
            ),
            rule.deny('new-thing', { upstream: 'api', path: '/things/probe' }, { when: 'novel.operation' }),
            rule.deny('new-agent', { upstream: 'api', path: '/others/probe' }, { when: 'novel.agent' }),
          ],
        }),
      ),
    ),
  )
  .extend('violations', file, async ({ environment }) =>
    staged(
      await environment(
        given({
          rules: EVENT_RULES,
          violations: [
            { count: 2, within: '10m', of: 'deny', do: ['suspend-agent'], for: '1h' },
            { count: 2, within: '10m', of: 'denied_by_people', do: ['suspend-agent'], for: '1h' },
          ],
        }),
      ),
    ),
  );

async function staged(env: Stage['env']): Promise<Stage> {
  return { env, alice: await env.reviewer('alice'), sam: await env.reviewer('sam', ['soc']) };
}

const isMarked = async ({ env }: Stage, agent: Agent) =>
  (await post(env, '/api/send', agent, {})) === 'denied' ? 'marked' : 'not marked';

describe('a mark', () => {
  it.for(eventsOf(MARK))('of the reader, %s: %s', async ([event, outcome], { marks }) => {
    const agent = newAgent();
    await happen(event, marks, { agent, thing: 'customers' });
    expect(await isMarked(marks, agent)).toBe(outcome);
  });

  it.for(eventsOf(MARK))('of the person whom the reader acts for, %s: %s', async ([event, outcome], { marks }) => {
    const person = newAgent('person').as;
    await happen(event, marks, { agent: actingFor(person, newAgent()), thing: 'customers' });
    expect(await isMarked(marks, actingFor(person, newAgent()))).toBe(outcome);
  });

  it.for(eventsOf(CARRIED))('of a place where a marked agent writes, %s: %s', async ([event, outcome], { marks }) => {
    const [writer, reader] = [newAgent(), newAgent()];
    expect(await get(marks.env, '/api/customers/open', writer)).toBe('sent');
    await happen(event, marks, { agent: writer, thing: boardOf(event), method: 'POST', body: { text: 'x' } });
    expect(await get(marks.env, `/api/${boardOf(event)}/open`, reader)).toBe('sent');
    const marked = await isMarked(marks, reader);
    if (outcome !== 'either') expect(marked).toBe(outcome);
  });
});

describe('a meter', () => {
  it.for(eventsOf(METER))('of an amount, %s: %s', async ([event, outcome], { meters }) => {
    const agent = newAgent();
    await happen(event, meters, { agent, thing: 'pay', method: 'POST', body: { amount: 60 } });
    const pay = (amount: number) => post(meters.env, '/api/pay/open', agent, { amount });
    // Sixty of a hundred and fifty: once, or none of it. The repeated call itself fits in twice.
    expect([await pay(100), await pay(90), await pay(1)]).toEqual(
      outcome === 'counted once' ? ['denied', 'sent', 'denied'] : ['sent', 'denied', 'sent'],
    );
  });
});

describe('what is new', () => {
  const probes = {
    'novel.destination': ['mails', '/api/mails/probe'],
    'novel.operation': ['things', '/api/things/probe'],
    'novel.agent': ['others', '/api/others/probe'],
  } as const;
  describe.for(Object.entries(probes))('%s', ([_fact, [thing, probe]]) => {
    it.for(eventsOf(NOVELTY))('%s: %s', async ([event, outcome], { novelty }) => {
      const agent = newAgent();
      const body = { to: 'somebody@else.example' };
      const asking = () => post(novelty.env, probe, agent, { ...body, probe: true });
      expect(await asking()).toBe('denied');
      await happen(event, novelty, { agent, thing, method: 'POST', body });
      const found = (await asking()) === 'sent' ? 'known' : 'new';
      if (outcome !== 'either') expect(found).toBe(outcome);
    });
  });
});

describe('a violation', () => {
  const isSuspended = async ({ env }: Stage, agent: Agent) =>
    (await get(env, '/api/x/open', agent)) === 'principal_suspended';

  it.for(eventsOf(VIOLATION_OF_RULES))('of rules, %s: %s', async ([event, outcome], { violations }) => {
    const agent = newAgent();
    await happen(event, violations, { agent, thing: 'x' }, 'denied');
    expect(await isSuspended(violations, agent)).toBe(false);
    await happen('denied', violations, { agent, thing: 'x' });
    expect(await isSuspended(violations, agent)).toBe(outcome === 'one');
  });

  it.for(eventsOf(VIOLATION_OF_PEOPLE))('of what people said, %s: %s', async ([event, outcome], { violations }) => {
    const agent = newAgent();
    await happen(event, violations, { agent, thing: 'x' }, 'denied by people');
    expect(await isSuspended(violations, agent)).toBe(false);
    await happen('denied by people', violations, { agent, thing: 'x' });
    expect(await isSuspended(violations, agent)).toBe(outcome === 'one');
  });
});
