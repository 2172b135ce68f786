// What must be true of facts for every order of calls, over the whole gateway: no interleaving passes a meter, a mark
// never fades by itself, and no spelling of a host changes its trust. Kind: a case that nobody thought of.

import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import { rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type Agent, actingFor, get, MARKING, newAgent, post, written } from '../support/reads-and-sends.ts';
import { answered } from './held.ts';

const LIMITS = { wait: '0s', pendingPerAgent: 10_000, holdsPerHourPerAgent: 10_000 };

const it = gatewayTest
  .extend('metered', file, ({ environment }) =>
    environment(
      written({
        meters: {
          paid: {
            match: { upstream: 'api', path: '/:way(pay|held-pay)/*' },
            ...{ value: 'args.amount', per: ['agent', 'person'], window: '24h' },
          },
        },
        rules: [
          rule.allow('pay', { upstream: 'api', path: '/pay/*' }),
          rule.hold('held-pay', { upstream: 'api', path: '/held-pay/*' }),
          rule.deny('cap', { upstream: 'api' }, { when: 'meter.paid > 100' }),
        ],
        limits: LIMITS,
      }),
    ),
  )
  .extend('alice', file, ({ metered }) => metered.reviewer('alice'))
  .extend('marked', file, ({ environment }) =>
    environment(
      written({
        ...MARKING,
        resources: [MARKING.resources[0]],
        rules: [
          rule.allow('http', { upstream: 'api' }),
          rule.deny('refused-reads', { upstream: 'api', path: '/customers/refused' }),
          rule.deny('leak', { upstream: 'api', path: '/send' }, { when: '"customer-data" in tainted' }),
        ],
        limits: LIMITS,
      }),
    ),
  )
  .extend('trusting', file, ({ environment }) =>
    environment(
      written({
        destinations: { internal: ['*.corp.example', '10.0.0.0/8'] },
        upstreams: { api: { trust: 'internal' } },
        rules: [
          rule.allow('http', { upstream: 'api' }),
          rule.deny('outward', { upstream: 'api' }, { when: 'action.destination == "external"' }),
        ],
        limits: LIMITS,
      }),
    ),
  );

/** One payment: at once, or held and then approved, denied or given up. */
const payment = fc.record({
  amount: fc.integer({ min: 0, max: 60 }),
  way: fc.constantFrom('pay', 'approved', 'denied', 'given up', 'left'),
  agent: fc.nat(1),
});
type Payment = typeof payment extends fc.Arbitrary<infer T> ? T : never;

async function make(
  env: Environment,
  alice: Awaited<ReturnType<Environment['reviewer']>>,
  run: string,
  { as, claims }: Agent,
  { amount, way }: Payment,
): Promise<'sent' | 'held' | 'not sent'> {
  const path = `/api/${way === 'pay' ? 'pay' : 'held-pay'}/${randomUUID()}`;
  const send = () =>
    answered(
      env.call(path, {
        ...{ as, method: 'POST', headers: { prefer: 'wait=0' }, body: { amount, run } },
        ...(claims && { claims }),
      }),
    );
  const first = await send();
  if (first.status === 200) return 'sent';
  if (first.code !== 'approval_pending') return 'not sent';
  if (way === 'left') return 'held';
  if (way === 'given up') {
    await answered(
      env.call(`/countersign/v1/holds/${first.hold}`, { as, method: 'DELETE', ...(claims && { claims }) }),
    );
    return 'not sent';
  }
  await (way === 'approved' ? alice.approve(first.hold) : alice.deny(first.hold));
  return (await send()).status === 200 ? 'sent' : 'not sent';
}

it('no interleaving of concurrent payments passes a meter, and what was given back can be spent', async ({
  metered: env,
  alice,
}) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(payment, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      async (rounds) => {
        const [run, person] = [randomUUID(), newAgent('person').as];
        const agents = [actingFor(person, newAgent()), actingFor(person, newAgent())];
        let held = 0;
        const paid = () =>
          env.upstream.requests
            .filter(({ body }) => body.includes(run))
            .reduce((sum, { body }) => sum + (JSON.parse(body) as { amount: number }).amount, 0);
        for (const round of rounds) {
          const outcomes = await Promise.all(
            round.map(async (one) => [one, await make(env, alice, run, agents[one.agent] as Agent, one)] as const),
          );
          for (const [{ amount }, outcome] of outcomes) if (outcome === 'held') held += amount;
          expect(paid() + held).toBeLessThanOrEqual(100);
        }
        // What is left, and not one more: nothing is lost, and nothing counts twice.
        const left = 100 - paid() - held;
        expect(await post(env, '/api/pay/rest', agents[0] as Agent, { amount: left + 1 })).toBe('denied');
        expect(await post(env, '/api/pay/rest', agents[1] as Agent, { amount: left })).toBe('sent');
      },
    ),
    { numRuns: 25 },
  );
});

const STEPS = ['read', 'refused read', 'harmless', 'send'] as const;

it('a mark does not fade, whatever is done by whomever, and nobody else gets one', async ({ marked: env }) => {
  const step = fc.record({ what: fc.constantFrom(...STEPS), who: fc.nat(5) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
      const [her, his] = [newAgent('person').as, newAgent('person').as];
      const [first, second, third] = [newAgent(), newAgent(), newAgent()];
      /** Each with those whom its mark reaches: the keys and people of its chain. */
      const everybody: readonly (readonly [Agent, readonly string[]])[] = [
        [actingFor(her, first), [first.as, her]],
        [actingFor(her, second), [second.as, her]],
        [actingFor(his, second), [second.as, his]],
        [actingFor(his, third), [third.as, his]],
        [first, [first.as]],
        [newAgent(), []],
      ];
      const reached = new Set<string>();
      for (const { what, who } of steps) {
        const [agent, chain] = everybody[who] as (typeof everybody)[number];
        if (what === 'read') {
          expect(await get(env, '/api/customers/1', agent)).toBe('sent');
          for (const name of chain.length === 0 ? [agent.as] : chain) reached.add(name);
        } else if (what === 'refused read') expect(await get(env, '/api/customers/refused', agent)).toBe('denied');
        else if (what === 'harmless') expect(await get(env, '/api/pages/1', agent)).toBe('sent');
        const names = chain.length === 0 ? [agent.as] : chain;
        const outcome = names.some((name) => reached.has(name)) ? 'denied' : 'sent';
        expect(await post(env, '/api/send', agent, {})).toBe(outcome);
      }
    }),
    { numRuns: 25 },
  );
});

/** Hosts, and whether they are trusted. */
const HOSTS = [
  ['a.corp.example', true],
  ['x-1.y.corp.example', true],
  ['corp.example', false],
  ['evil.test', false],
  ['a.corp.example.evil.test', false],
  ['acorp.example', false],
] as const;

const randomCase = (text: string) =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map((upper) => [...text].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join(''));
/** Letters and dots in the forms that IDNA (UTS 46) maps to the plain ones. */
const wide = (text: string) =>
  text
    .replaceAll(/[a-z]/gi, (letter) => String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0))
    .replaceAll('.', '．');
const percent = (text: string) => text.replaceAll(/[a-z.]/gi, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
const spelledHost = (host: string) =>
  fc
    .tuple(
      randomCase(host),
      fc.constantFrom((text: string) => text, wide, percent),
      fc.constantFrom('', '.'),
    )
    .map(([text, form, dot]) => form(text) + dot);
const spelledUrl = ([host, trusted]: (typeof HOSTS)[number]) =>
  fc
    .tuple(
      fc.constantFrom('http', 'https', 'HTTPS', 'wss', 'ftp'),
      fc.constantFrom('://', ':\\\\', ':/\\'),
      fc.constantFrom('', 'user@', 'a.corp.example@', 'user:pass@', 'a.corp.example:443@'),
      spelledHost(host),
      fc.constantFrom('', ':1', ':65535'),
      fc.constantFrom('', '/', '/a/b', '?a.corp.example', '#a.corp.example', '\\x'),
    )
    .map(([scheme, slashes, user, name, port, rest]) => ({
      text: scheme + slashes + user + name + port + rest,
      trusted,
    }));
/** An IPv4 address as a whole number, by parts in other bases, or within an IPv6 one. */
const spelledAddress = fc
  .tuple(fc.constantFrom(10, 11, 192), fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(5))
  .map(([a, b, c, d, form]) => {
    const whole = a * 2 ** 24 + b * 2 ** 16 + c * 256 + d;
    const forms = [
      `${a}.${b}.${c}.${d}`,
      String(whole),
      `0x${whole.toString(16)}`,
      `0${a.toString(8)}.0x${b.toString(16)}.${c}.0${d.toString(8)}`,
      `${a}.${b}.${c * 256 + d}`,
      `[::ffff:${a}.${b}.${c}.${d}]`,
    ];
    return { text: `http://${forms[form]}/x`, trusted: a === 10 };
  });
const place = fc.constantFrom<(text: string) => object>(
  (text) => ({ text: `see ${text} there` }),
  (text) => ({ url: text }),
  (text) => ({ a: [{ b: text }] }),
  (text) => ({ [text]: 1 }),
  // JSON doubles a backslash, and two of them before a word name a server: that one more host is external.
  (text) => ({ text: JSON.stringify({ inner: text.replace(/\\x$/, '/x') }) }),
);

it('no spelling of a host changes its trust', async ({ trusting: env }) => {
  const spelled = fc.oneof(fc.constantFrom(...HOSTS).chain(spelledUrl), spelledAddress);
  await fc.assert(
    fc.asyncProperty(spelled, place, async ({ text, trusted }, at) => {
      expect([text, await post(env, '/api/notes', newAgent(), at(text))]).toEqual([text, trusted ? 'sent' : 'denied']);
    }),
    { numRuns: 300 },
  );
});
