// What an action is by the configuration. Kinds of fault: a spelling or an argument that leads around a classification;
// an entry more that makes the sum milder; a label that is compared as a text.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Classification, OPERATIONS } from '../../src/domain/classification.ts';
import type { DecisionInput } from '../../src/domain/decision.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { PolicyOptions, ResourceOptions, RuleOptions } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { call, policyOf, post, toolCall } from './inputs.ts';

const pass: RuleOptions = { id: 'pass', match: {}, decide: 'allow' };

function classify(resources: readonly ResourceOptions[], input: DecisionInput, rest: Partial<PolicyOptions> = {}) {
  return compilePolicy(policyOf([pass], { resources, ...rest })).classify(input);
}

/** The effect of a call that everything allows, and one rule holds. */
function effectWith(when: string, resources: readonly ResourceOptions[], input: DecisionInput, unclassified?: string) {
  const rule: RuleOptions = { id: 'watched', match: { upstream: 'ledger' }, when, decide: 'hold', tier: 'one' };
  const policy = compilePolicy(
    policyOf([pass, rule], { resources, ...(unclassified !== undefined && { unclassified }) }),
  );
  return policy.decide({ ...input, facts: { classification: policy.classify(input) } }).effect;
}

const payouts: ResourceOptions = {
  id: 'payouts',
  match: { upstream: 'ledger', methods: ['POST'], path: '/payouts' },
  data: 'restricted',
  reversible: false,
  environment: 'production',
  operation: 'transfer',
  owners: ['user:cfo'],
  taints: ['money'],
  result: ['/id'],
  carries: true,
  requireTask: 'attested',
};
const payout = post({ amount: 5 }, '/payouts');

describe('a resource', () => {
  it('says everything of the calls that it matches, and nothing of others', () => {
    expect(classify([payouts], payout)).toEqual({
      resources: ['payouts'],
      data: 'restricted',
      reversible: false,
      environment: 'production',
      operation: 'transfer',
      owners: [['user:cfo']],
      taints: ['money'],
      result: ['/id'],
      carries: ['payouts'],
      requireTask: 'attested',
    });
    expect(classify([payouts], post({}, '/accounts'))).toEqual({
      resources: [],
      operation: 'write',
      owners: [],
      taints: [],
      result: [],
      carries: [],
    });
  });

  it.each(['/PAYOUTS', '/payouts/', '/payouts;v=1', '/%70ayouts', '/payouts.'])('matches the spelling %s', (path) => {
    expect(classify([payouts], post({}, path)).resources).toEqual(['payouts']);
  });

  it('matches a path that two servers could read differently', () => {
    expect(classify([payouts], post({}, '/x/../payouts')).resources).toEqual(['payouts']);
  });

  it('counts when its condition is true, fails to evaluate, or cannot be afforded', () => {
    const large = { ...payouts, when: 'args.amount > 1000.0' };
    expect(classify([large], post({ amount: 5 }, '/payouts')).resources).toEqual([]);
    expect(classify([large], post({ amount: 5000 }, '/payouts')).resources).toEqual(['payouts']);
    expect(classify([large], post({ amount: '5' }, '/payouts')).resources).toEqual(['payouts']);
    expect(classify([large], post(undefined, '/payouts')).resources).toEqual(['payouts']);
    const costly = { ...payouts, when: 'args.l.exists(x, args.l.exists(y, x + y < 0.0))' };
    const small = { ...large, id: 'small' };
    const list = Array.from({ length: 2_000 }, (_, index) => index);
    expect(classify([small, costly], post({ l: list, amount: 5 }, '/payouts')).resources).toEqual(['small', 'payouts']);
  });

  describe('that may be meant or not never makes a call milder', () => {
    const mild: ResourceOptions = {
      ...{ id: 'mild', match: { upstream: 'ledger', path: '/search' }, when: 'args.mode == "test"' },
      ...{ data: 'public', environment: 'sandbox', operation: 'read', reversible: true },
    };
    const asked = post({ mode: 'test' }, '/search');

    it('but does where it is meant for certain', () => {
      const meant = { data: 'public', environment: 'sandbox', operation: 'read', reversible: true };
      expect(classify([mild], asked, { unclassified: 'restricted' })).toMatchObject(meant);
    });

    it.each<[string, DecisionInput]>([
      ['its condition reads what is not there', post({}, '/search')],
      ['its condition compares two types', post({ mode: ['test'] }, '/search')],
      ['its condition reads a body that was not parsed', post(undefined, '/search')],
      ['the path is spelled in another way', post({ mode: 'test' }, '/Search/')],
    ])('where %s', (_, input) => {
      const found = classify([mild], input, { unclassified: 'restricted' });
      expect(found).toMatchObject({ resources: ['mild'], data: 'restricted', operation: 'write' });
      expect(found).not.toHaveProperty('environment');
      expect(found).not.toHaveProperty('reversible');
    });

    it('where all its conditions cannot be afforded', () => {
      const costly = { ...payouts, match: mild.match, when: 'args.l.exists(x, args.l.exists(y, x + y < 0.0))' };
      const l = Array.from({ length: 2_000 }, (_, index) => index);
      const { environment: _, operation: __, ...plain } = costly;
      expect(classify([mild, plain], post({ l, mode: 'live' }, '/search'))).not.toHaveProperty('environment');
    });

    it('but is meant for certain where it names the tool of a shared mount without its server, or a WebSocket', () => {
      const upstreams = { office: { protocol: 'mcp' as const }, 'office/mail': { protocol: 'mcp' as const } };
      const { action } = toolCall('send');
      const sending = call({ action: { ...action, upstream: 'office/mail' } });
      const read = (match: ResourceOptions['match']) =>
        classify([{ id: 'r', match, operation: 'read', environment: 'sandbox' }], sending, { upstreams });
      const meant = { operation: 'read', environment: 'sandbox' };
      expect(read({ upstream: 'office', server: 'mail', tool: 'send' })).toMatchObject(meant);
      expect(read({ upstream: 'office', tool: 'mail__send' })).toMatchObject(meant);
      expect(read({ upstream: 'office', tool: 'SEND' }).operation).toBe('write');
      const upgrade = { subprotocols: [], extensions: [] };
      const opened = call({ action: { upgrade: upgrade as never } });
      expect(classify([{ id: 'r', match: { upstream: 'ledger' }, environment: 'sandbox' }], opened)).toMatchObject({
        environment: 'sandbox',
      });
    });

    it('and takes nothing from the target, where it has sendsTo', () => {
      const sends = { ...mild, sendsTo: ['args.to'] };
      const upstreams = { ledger: { protocol: 'http' as const, trust: 'external' } };
      const policy = compilePolicy(
        policyOf([pass], { resources: [sends], upstreams, destinations: { internal: ['bank.example'] } }),
      );
      const trust = (args: Record<string, string>, path = '/search') => policy.destinations(post(args, path)).trust;
      expect(trust({ mode: 'test', to: 'a@bank.example' })).toBe('internal');
      expect(trust({ to: 'a@bank.example' })).toBe('external');
      expect(trust({ mode: 'test', to: 'a@bank.example' }, '/SEARCH')).toBe('external');
    });
  });

  it('makes the body be read when its condition reads it, and only for the calls that it is about', () => {
    const { bodyNeed } = compilePolicy(policyOf([pass], { resources: [{ ...payouts, when: 'args.amount > 1.0' }] }));
    expect(bodyNeed('ledger', 'POST', '/payouts')).toBe('json');
    expect(bodyNeed('ledger', 'POST', '/accounts')).toBe('stream');
    expect(bodyNeed('other', 'POST', '/payouts')).toBe('stream');
  });

  it('does not match the messages of an MCP session unless it names a message', () => {
    const all = { id: 'all', match: {}, data: 'restricted' };
    const tools = { id: 'tools', match: { upstream: 'tools' }, data: 'confidential' };
    const lists = { id: 'lists', match: { upstream: 'tools', mcp: ['tools/list'] }, data: 'internal' };
    const message = (method: string) => {
      const { action } = toolCall('x');
      const { tool: _, args: __, ...rest } = action;
      return call({ action: { ...rest, mcp: mcpOf({ method }) } });
    };
    for (const method of ['initialize', 'ping', 'notifications/initialized', 'resources/list'])
      expect(classify([all, tools, lists], message(method)).resources).toEqual([]);
    expect(classify([all, tools, lists], message('tools/list')).resources).toEqual(['lists']);
    expect(classify([all, tools, lists], message('resources/read')).resources).toEqual(['all', 'tools']);
    expect(classify([all, tools, lists], toolCall('x')).resources).toEqual(['all', 'tools']);
  });
});

describe('resources that match together', () => {
  const at = (more: Partial<ResourceOptions>, id = 'r'): ResourceOptions => ({ id, match: {}, ...more });

  it('are a sandbox only if all that name an environment say so', () => {
    const environment = (...names: readonly (string | undefined)[]) =>
      classify(
        names.map((name, index) => at(name === undefined ? {} : { environment: name }, `r${index}`)),
        payout,
      ).environment;
    expect(environment()).toBe(undefined);
    expect(environment('sandbox', undefined, 'sandbox')).toBe('sandbox');
    expect(environment('sandbox', 'staging')).toBe('staging');
    expect(environment('staging', 'production', 'sandbox')).toBe('production');
  });

  it('add to what the upstream says of its environment', () => {
    const upstreams = { ledger: { protocol: 'http' as const, environment: 'production' } };
    expect(classify([at({ environment: 'sandbox' })], payout, { upstreams }).environment).toBe('production');
    expect(classify([], payout, { upstreams }).environment).toBe('production');
  });

  it('never become milder by one more', () => {
    const { sensitivity } = policyOf([]);
    const environments = ['sandbox', 'staging', 'production'];
    const some = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
    const resource = fc
      .record({
        data: some(sensitivity),
        reversible: some([true, false]),
        environment: some(environments),
        operation: some(OPERATIONS),
        owners: some([['user:a'], ['group:b', 'user:a']]),
        taints: some([['x'], ['y', 'x']]),
        carries: some([true, false]),
        requireTask: some([true, 'attested'] as const),
        match: fc.constantFrom({}, { upstream: 'ledger' }, { path: '/payouts' }, { path: '/other' }),
      })
      .map(
        (entry) =>
          Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as unknown as Omit<
            ResourceOptions,
            'id'
          >,
      );
    const ranks = ({ data, reversible, environment, operation, requireTask }: Classification) => [
      data === undefined ? -1 : sensitivity.indexOf(data),
      reversible === undefined ? 0 : reversible ? 0 : 1,
      environment === undefined ? -1 : environments.indexOf(environment),
      requireTask === undefined ? 0 : requireTask === 'attested' ? 2 : 1,
      OPERATIONS.indexOf(operation),
    ];
    fc.assert(
      fc.property(fc.array(resource, { maxLength: 5 }), resource, fc.nat(5), (entries, more, place) => {
        const fewer = entries.map((entry, index) => ({ ...entry, id: `r${index}` }));
        const added = { ...more, id: 'added' };
        const all = [...fewer.slice(0, place), added, ...fewer.slice(place)];
        const [before, after] = [classify(fewer, payout), classify(all, payout)];
        // A resource that says which operation it is replaces only the method's default.
        const told = fewer.some(({ id, operation }) => operation !== undefined && before.resources.includes(id));
        const [low, high] = [ranks(before), ranks(after)];
        for (const [index, rank] of low.entries())
          if (told || index < low.length - 1) expect(high[index]).toBeGreaterThanOrEqual(rank);
        expect(after.owners).toEqual(expect.arrayContaining([...before.owners]));
        expect(after.taints).toEqual(expect.arrayContaining([...before.taints]));
        expect(after.carries).toEqual(expect.arrayContaining([...before.carries]));
      }),
    );
  });
});

describe('a rule’s own data and reversible', () => {
  const rule = (more: Partial<RuleOptions>): RuleOptions => ({
    ...{ id: 'labelled', match: { upstream: 'ledger', path: '/payouts' }, decide: 'hold', tier: 'one' },
    ...more,
  });
  const of = (more: Partial<RuleOptions>) =>
    compilePolicy(policyOf([pass, rule(more)], { resources: [{ id: 'r', match: {}, data: 'internal' }] })).classify(
      payout,
    );

  it('add up where its match fits, whatever its condition says', () => {
    expect(of({ data: 'restricted', reversible: false, when: 'args.amount > 1000.0' })).toMatchObject({
      data: 'restricted',
      reversible: false,
    });
    expect(of({ data: 'public', reversible: true })).toMatchObject({ data: 'internal', reversible: true });
    expect(of({ data: 'restricted', match: { upstream: 'other' } }).data).toBe('internal');
  });

  it('that is no label is a text for reviewers, and a warning', () => {
    expect(of({ data: 'customer names' }).data).toBe('internal');
    expect(checkPolicy(policyOf([rule({ data: 'restrcted' })]))).toEqual([
      {
        path: ['rules', 0, 'data'],
        severity: 'warning',
        message: expect.stringContaining('Did you mean `restricted`?'),
      },
    ]);
  });
});

describe('operations', () => {
  it.each([
    ['GET', 'read'],
    ['HEAD', 'read'],
    ['OPTIONS', 'read'],
    ['DELETE', 'delete'],
    ['POST', 'write'],
    ['PATCH', 'write'],
  ])('of %s is %s where no resource says one', (method, operation) => {
    expect(classify([{ id: 'r', match: {} }], call({ action: { method } })).operation).toBe(operation);
    expect(classify([{ id: 'r', match: {}, operation: 'read' }], call({ action: { method } })).operation).toBe('read');
  });

  it('of an MCP tool is write, and delete where its server says that it destroys', () => {
    const hinted = (hints: Record<string, boolean>) => {
      const { action, ...rest } = toolCall('x');
      return { ...rest, action: { ...action, mcp: mcpOf({ method: 'tools/call', hints }) } };
    };
    expect(classify([], toolCall('x')).operation).toBe('write');
    expect(classify([], hinted({ readOnlyHint: true })).operation).toBe('write');
    expect(classify([], hinted({ destructiveHint: true })).operation).toBe('delete');
  });
});

describe('conditions over action', () => {
  const labelled = (data: string): readonly ResourceOptions[] => [{ id: 'r', match: { path: '/payouts' }, data }];

  it('compare labels by their order', () => {
    const when = 'atLeast(action.data, "confidential")';
    for (const [label, effect] of [
      ['public', 'allow'],
      ['internal', 'allow'],
      ['confidential', 'hold'],
      ['restricted', 'hold'],
    ] as const)
      expect(effectWith(when, labelled(label), payout)).toBe(effect);
    expect(effectWith('action.data == "internal"', labelled('internal'), payout)).toBe('hold');
    expect(effectWith('action.data != "internal"', labelled('internal'), payout)).toBe('allow');
    expect(effectWith('action.data in ["internal", "public"]', labelled('internal'), payout)).toBe('hold');
    expect(effectWith('action.data in ["restricted"]', labelled('internal'), payout)).toBe('allow');
  });

  it('fail where nothing classifies the call, unless the configuration says what that is', () => {
    for (const when of ['action.data == "restricted"', 'atLeast(action.data, "restricted")']) {
      expect(effectWith(when, [], payout)).toBe('hold');
      expect(effectWith(when, [], payout, 'internal')).toBe('allow');
    }
    expect(effectWith('has(action.data)', [], payout)).toBe('allow');
    expect(effectWith('has(action.data)', labelled('public'), payout)).toBe('hold');
  });

  it('read the rest of the classification', () => {
    expect(effectWith('action.operation == "transfer"', [payouts], payout)).toBe('hold');
    expect(effectWith('action.operation == "transfer"', [], payout)).toBe('allow');
    expect(effectWith('!action.reversible', [payouts], payout)).toBe('hold');
    expect(effectWith('action.environment == "production"', [payouts], payout)).toBe('hold');
    expect(effectWith('"user:cfo" in action.owners', [payouts], payout)).toBe('hold');
    expect(effectWith('"user:cfo" in action.owners', [], payout)).toBe('allow');
  });

  it('cannot order a label as a text, not even where the type check cannot see it', () => {
    for (const hidden of ['dyn(action.data) < "zzz"', 'action[args.which] < "zzz"', 'dyn(action.data) + "" == "x"'])
      expect(effectWith(hidden, labelled('public'), post({ which: 'data' }, '/payouts'))).toBe('hold');
  });

  const faultsOf = (when: string) =>
    checkPolicy(policyOf([{ id: 'r', match: {}, when, decide: 'deny' }], { resources: [payouts] })).map(
      ({ message }) => message,
    );

  it.each(['<', '<=', '>', '>='])('may not compare a label by %s', (operator) => {
    for (const when of [
      `action.data ${operator} "confidential"`,
      `"confidential" ${operator} action.data`,
      `cel.bind(x, action.data, x ${operator} "confidential")`,
      `[action.data].exists(x, x ${operator} "confidential")`,
    ])
      expect(faultsOf(when)).toEqual([expect.stringContaining('atLeast')]);
  });

  it.each([
    ['action.data == "confidental"', 'Did you mean `confidential`?'],
    ['"restrictd" != action.data', 'Did you mean `restricted`?'],
    ['atLeast(action.data, "intrenal")', 'Did you mean `internal`?'],
    ['action.data in ["public", "restrictd"]', 'Did you mean `restricted`?'],
    ['action.operation == "tranfser"', 'Did you mean `transfer`?'],
    ['action.environment == "prodction"', 'Did you mean `production`?'],
  ])('may not compare with a text that the value never is: %s', (when, instead) => {
    expect(faultsOf(when)).toEqual([expect.stringContaining(instead)]);
  });

  it('are no condition of a resource', () => {
    const faults = checkPolicy(policyOf([], { resources: [{ ...payouts, when: 'action.operation == "read"' }] }));
    expect(faults).toMatchObject([{ path: ['resources', 0, 'when'], message: expect.stringContaining('`args`') }]);
  });
});
