import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Effect } from '../../src/domain/decision.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { agent, approval, call, policyOf, post, tierOf } from './inputs.ts';

const rank: Readonly<Record<Effect, number>> = { allow: 0, hold: 1, deny: 2 };

const conditions = [
  undefined,
  'true',
  'false',
  'args.amount > 5',
  'args.nope == 1',
  'request.method == "POST"',
  'has(request.body.amount)',
  'has(task.id)',
  'approval.count > 0',
];
const ruleBody = fc.record({
  match: fc.record({
    upstream: fc.constantFrom(undefined, 'ledger', 'other'),
    methods: fc.constantFrom(undefined, ['GET'], ['POST', 'PUT']),
    path: fc.constantFrom(undefined, '/transfers', '/*', '/:x', '/a/:b(\\d+)'),
  }),
  when: fc.constantFrom(...conditions),
  decide: fc.constantFrom<Effect>('allow', 'hold', 'deny'),
  tier: fc.constantFrom('one', 'two'),
});

/** Keys that are not there, rather than there and undefined. */
const clean = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
const rules = fc.array(ruleBody, { maxLength: 6 }).map((bodies): readonly RuleOptions[] =>
  bodies.map(({ tier, when, ...body }, index) => ({
    ...body,
    match: clean(body.match) as RuleOptions['match'],
    id: `r${index}`,
    ...(when !== undefined && { when }),
    ...(body.decide === 'hold' && { tier }),
  })),
);
const input = fc
  .record({
    amount: fc.constantFrom(1, 10, 'x'),
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('/transfers', '/a/1', '/zz'),
    approved: fc.boolean(),
  })
  .map(({ amount, method, path, approved }) => {
    const base = post({ amount }, path);
    return { ...base, action: { ...base.action, method }, ...(approved && { approval: approval(true) }) };
  });

describe('for every policy and call', () => {
  test('the order of rules changes neither effect nor digest', () => {
    fc.assert(
      fc.property(rules, input, (list, asked) => {
        const [straight, turned] = [list, [...list].reverse()].map((order) =>
          compilePolicy(policyOf(order)).decide(asked),
        );
        expect([turned?.effect, turned?.decisionDigest]).toEqual([straight?.effect, straight?.decisionDigest]);
      }),
    );
  });

  test('one more allow rule never makes a hold or a rule’s deny milder', () => {
    fc.assert(
      fc.property(rules, input, (list, asked) => {
        const before = compilePolicy(policyOf(list)).decide(asked);
        const after = compilePolicy(policyOf([...list, { id: 'more', match: {}, decide: 'allow' }])).decide(asked);
        if (before.reasons[0] !== 'no_matching_rule') expect(after.effect).toBe(before.effect);
      }),
    );
  });

  test('one more hold or deny rule never makes it milder', () => {
    fc.assert(
      fc.property(rules, input, fc.constantFrom<Effect>('hold', 'deny'), (list, asked, decide) => {
        const before = compilePolicy(policyOf(list)).decide(asked);
        const more: RuleOptions = { id: 'more', match: {}, decide, ...(decide === 'hold' && { tier: 'one' }) };
        const after = compilePolicy(policyOf([...list, more])).decide(asked);
        if (before.reasons[0] !== 'no_matching_rule')
          expect(rank[after.effect]).toBeGreaterThanOrEqual(rank[before.effect]);
      }),
    );
  });

  test('bodyNeed is never weaker than what the decision reads', () => {
    fc.assert(
      fc.property(rules, input, (list, asked) => {
        const policy = compilePolicy(policyOf(list));
        const { upstream, method, path } = asked.action;
        const need = policy.bodyNeed(upstream, method, path);
        const { args, ...unparsed } = asked.action;
        // Without the parts that bodyNeed calls needless, the decision must be the same.
        const action =
          need === 'json' ? { ...unparsed, args: args ?? null } : { ...unparsed, streamed: need === 'stream' };
        const { decisionDigest: _, ...full } = policy.decide(asked);
        const { decisionDigest: __, ...lean } = policy.decide({ ...asked, action });
        expect(lean).toEqual(full);
      }),
    );
  });
});

describe('the decision digest', () => {
  const held: RuleOptions = {
    id: 'pay',
    match: { upstream: 'ledger', methods: ['POST', 'PUT'] },
    decide: 'hold',
    tier: 'one',
    credential: { scope: 'w' },
  };
  const digest = (list: readonly RuleOptions[], rest: Parameters<typeof policyOf>[1] = {}) => {
    const decision = compilePolicy(policyOf(list, rest)).decide(post({ amount: 1 }));
    return { decision: decision.decisionDigest, policy: decision.policyDigest };
  };

  test('survives unrelated edits, which change the policy digest', () => {
    const edited = digest(
      [
        { id: 'else', match: { upstream: 'other' }, decide: 'deny' },
        { ...held, match: { methods: ['PUT', 'POST'], upstream: 'ledger' } },
      ],
      {
        tiers: { one: tierOf(), two: tierOf(['user:x'], 1) },
      },
    );
    expect(edited.decision).toBe(digest([held]).decision);
    expect(edited.policy).not.toBe(digest([held]).policy);
  });

  test.each<[string, readonly RuleOptions[], Parameters<typeof policyOf>[1]?]>([
    ['its condition', [{ ...held, when: 'true' }]],
    ['its id', [{ ...held, id: 'pay2' }]],
    ['its methods', [{ ...held, match: { upstream: 'ledger', methods: ['POST'] } }]],
    ['its narrowing', [{ ...held, credential: { scope: 'x' } }]],
    ['its label', [{ ...held, data: 'secret' }]],
    ['its tier’s name', [{ ...held, tier: 'two' }]],
    ['its tier’s count', [held], { tiers: { one: tierOf(['group:finance'], 2) } }],
    ['its tier’s reviewers', [held], { tiers: { one: tierOf(['group:others']) } }],
    ['another rule that matches', [held, { id: 'also', match: {}, decide: 'allow' }]],
  ])('changes with %s', (_, list, rest) => {
    expect(digest(list, rest).decision).not.toBe(digest([held]).decision);
  });
});

describe('rules that cannot match', () => {
  test('are never evaluated', () => {
    let reads = 0;
    const counting = {
      ...agent,
      get claims() {
        reads += 1;
        return agent.claims;
      },
    };
    const unrelated = (match: RuleOptions['match']) =>
      Array.from(
        { length: 500 },
        (_, index): RuleOptions => ({
          id: `${JSON.stringify(match).replaceAll(/\W/g, '')}-${index}`,
          match,
          decide: 'deny',
          when: 'agent.claims.team == "x"',
        }),
      );
    const policy = compilePolicy(
      policyOf([
        ...unrelated({ upstream: 'other' }),
        ...unrelated({ upstream: 'ledger', methods: ['DELETE'] }),
        ...unrelated({ upstream: 'ledger', path: '/elsewhere/:id' }),
        {
          id: 'mine',
          match: { upstream: 'ledger', methods: ['GET'] },
          decide: 'allow',
          when: 'agent.claims.team == "billing"',
        },
      ]),
    );
    expect(policy.decide(call({ principal: counting })).effect).toBe('allow');
    expect(reads).toBe(1);
  });

  test('ask for no body', () => {
    const policy = compilePolicy(
      policyOf([
        {
          id: 'a',
          match: { upstream: 'ledger', methods: ['POST'], path: '/transfers' },
          decide: 'hold',
          tier: 'one',
          when: 'args.amount > 1',
        },
        { id: 'b', match: { upstream: 'ledger', methods: ['POST'], path: '/notes/*' }, decide: 'hold', tier: 'one' },
        { id: 'c', match: { upstream: 'ledger' }, decide: 'allow' },
      ]),
    );
    expect(
      ['/transfers', '/transfers/', '/notes/1', '/other', '/transfers/x'].map((path) =>
        policy.bodyNeed('ledger', 'POST', path),
      ),
    ).toEqual(['json', 'json', 'bytes', 'stream', 'stream']);
    expect([
      policy.bodyNeed('ledger', 'GET', '/transfers'),
      policy.bodyNeed('other', 'POST', '/transfers'),
      policy.bodyNeed('tools', 'POST', '/'),
    ]).toEqual(['stream', 'stream', 'json']);
  });
});
