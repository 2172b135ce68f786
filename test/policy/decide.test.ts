import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../src/domain/decision.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { approval, call, policyOf, post, tierOf, toolCall } from './inputs.ts';

const decide = (rules: readonly RuleOptions[], input: DecisionInput = call()) =>
  compilePolicy(policyOf(rules)).decide(input);

const allow: RuleOptions = { id: 'allow', match: { upstream: 'ledger' }, decide: 'allow' };
const hold: RuleOptions = { id: 'hold', match: { upstream: 'ledger' }, decide: 'hold', tier: 'one' };
const deny: RuleOptions = { id: 'deny', match: { upstream: 'ledger' }, decide: 'deny' };

describe('strictest wins', () => {
  test.each([
    ['nothing matches', [], 'deny', ['no_matching_rule']],
    ['only an allow', [allow], 'allow', ['rule:allow']],
    ['an allow and a hold', [allow, hold], 'hold', ['rule:hold']],
    ['an allow, a hold and a deny', [allow, hold, deny], 'deny', ['rule:deny']],
  ] as const)('when %s', (_, rules, effect, reasons) => {
    expect(decide(rules)).toMatchObject({ effect, reasons });
  });

  test('every matched rule is reported, in file order', () => {
    expect(decide([deny, allow, hold]).rules.map(({ id }) => id)).toEqual(['deny', 'allow', 'hold']);
  });

  test('the tiers of several hold rules add up, each once', () => {
    const rules = [hold, { ...hold, id: 'hold-2', tier: 'two' }, { ...hold, id: 'hold-3', tier: 'one' }];
    expect(decide(rules).requirements.map(({ tier, count }) => [tier, count])).toEqual([
      ['one', 1],
      ['two', 2],
    ]);
  });

  test('a streamed body can be allowed, never held', () => {
    const streamed = call({ action: { streamed: true } });
    expect(decide([allow], streamed).effect).toBe('allow');
    expect(decide([allow, hold], streamed)).toMatchObject({ effect: 'deny', reasons: ['body_not_read', 'rule:hold'] });
  });

  test('an upstream that is not configured is denied, whatever its name', () => {
    for (const upstream of ['nowhere', 'constructor', '__proto__']) {
      expect(decide([{ ...allow, match: {} }], call({ action: { upstream } }))).toMatchObject({
        effect: 'deny',
        reasons: ['no_matching_rule'],
      });
    }
  });
});

describe('approval is an input', () => {
  test('satisfied requirements turn a hold into an allow that keeps them', () => {
    const decision = decide([allow, hold], call({ approval: approval(true) }));
    expect(decision).toMatchObject({ effect: 'allow', reasons: ['rule:hold'], requirements: [{ tier: 'one' }] });
  });

  test('unsatisfied requirements stay a hold', () => {
    expect(decide([hold], call({ approval: approval(false) })).effect).toBe('hold');
  });

  test('no approval outweighs a deny', () => {
    expect(decide([hold, deny], call({ approval: approval(true) })).effect).toBe('deny');
  });

  test('an approval does not turn no match into an allow', () => {
    expect(decide([], call({ approval: approval(true) })).effect).toBe('deny');
  });

  test('the credential and the decision digest are the same before and after', () => {
    const rules = [
      { ...hold, credential: { scope: 'transfers:write' } },
      { ...allow, credential: { scope: 'read' } },
    ];
    const [before, after] = [decide(rules), decide(rules, call({ approval: approval(true) }))];
    expect(after.credential).toEqual({ name: 'ledger-token', scope: { scope: 'transfers:write' } });
    expect([before.credential, before.decisionDigest]).toEqual([after.credential, after.decisionDigest]);
  });

  test('a deny rule can limit the age of approvals', () => {
    const rules = [hold, { ...deny, when: 'approval.count > 0 && approval.age > duration("5m")' }];
    expect(decide(rules).effect).toBe('hold');
    expect(decide(rules, call({ approval: approval(true, 60_000) })).effect).toBe('allow');
    expect(decide(rules, call({ approval: approval(true, 600_000) })).effect).toBe('deny');
  });
});

describe('a condition that cannot be evaluated', () => {
  const when = 'args.amount > 1000';
  test('counts as matching for hold', () => {
    expect(decide([{ ...hold, when }], post({}))).toMatchObject({
      effect: 'hold',
      rules: [{ why: 'condition_failed' }],
    });
  });
  test('counts as matching for deny', () => {
    expect(decide([allow, { ...deny, when }], post({ amount: 'many' }))).toMatchObject({
      effect: 'deny',
      rules: [{ why: 'matched' }, { why: 'condition_failed' }],
    });
  });
  test('does not count for allow', () => {
    expect(decide([{ ...allow, when }], post({ amount: '5000' }))).toMatchObject({
      effect: 'deny',
      reasons: ['no_matching_rule'],
    });
  });
  test('a result that is no truth value is such a failure', () => {
    expect(decide([{ ...hold, when: 'args.flag' }], post({ flag: 'yes' })).rules).toMatchObject([
      { why: 'condition_failed' },
    ]);
    expect(decide([{ ...allow, when: 'args.flag' }], post({ flag: 1 })).effect).toBe('deny');
    expect(decide([{ ...allow, when: 'args.flag' }], post({ flag: true })).effect).toBe('allow');
  });
  test('a body that was not parsed is such a failure', () => {
    expect(decide([{ ...allow, when: '!has(args.amount)' }], post(undefined)).effect).toBe('deny');
    expect(decide([{ ...hold, when: 'has(args.amount)' }], post(undefined)).effect).toBe('hold');
  });
});

describe('what a rule matches', () => {
  const rule = (match: RuleOptions['match']): readonly RuleOptions[] => [{ id: 'r', match, decide: 'allow' }];

  test.each([
    [{ upstream: 'other' }, false],
    [{ upstream: 'ledger', methods: ['GET', 'HEAD'] }, true],
    [{ upstream: 'ledger', methods: ['POST'] }, false],
    [{ methods: ['GET'] }, true],
    [{ path: '/accounts' }, true],
    [{ path: '/Accounts' }, false],
    [{ path: '/accounts/' }, false],
    [{ path: '/:collection' }, true],
    [{ tool: '*' }, false],
    [{ mcp: ['*'] }, false],
  ] as const)('%j meets GET /accounts of the ledger: %s', (match, matches) => {
    expect(decide(rule(match)).effect).toBe(matches ? 'allow' : 'deny');
  });

  test.each([
    ['transfer_funds', true],
    ['transfer_*', true],
    ['*_funds', true],
    ['t*f*s', true],
    ['Transfer_funds', false],
    ['transfer', false],
    ['transfer_funds*x', false],
    ['transfer_funds_*_funds', false],
  ])('the tool pattern %s meets transfer_funds: %s', (tool, matches) => {
    expect(decide(rule({ upstream: 'tools', tool }), toolCall('transfer_funds')).effect).toBe(
      matches ? 'allow' : 'deny',
    );
  });

  test('a rule for an MCP upstream without a tool matches everything on it', () => {
    expect(decide(rule({ upstream: 'tools' }), toolCall('anything')).effect).toBe('allow');
  });

  test('a trailing slash does not lead around a hold or deny rule', () => {
    const rules: readonly RuleOptions[] = [
      { id: 'all', match: { path: '/*' }, decide: 'allow' },
      { id: 'no', match: { path: '/admin' }, decide: 'deny' },
    ];
    expect(decide(rules, call({ action: { path: '/admin/' } })).effect).toBe('deny');
  });

  test('an encoded letter does not lead around a rule', () => {
    const rules: readonly RuleOptions[] = [
      { id: 'all', match: { path: '/*' }, decide: 'allow' },
      { id: 'no', match: { path: '/admin/*' }, decide: 'deny' },
    ];
    expect(decide(rules, call({ action: { path: '/%61dmin/x' } })).effect).toBe('deny');
  });

  test.each(['/a/../b', '/a/%2e%2e/b', '/a//b', '/a%2fb', '/a%5cb', '/a%00', '/a%zz', '/a%c0%ae', 'a', ''])(
    'the ambiguous path %j matches nothing',
    (path) => {
      expect(decide(rule({}), call({ action: { path } })).effect).toBe('deny');
    },
  );
});

/** A message to an MCP server; without a method, an answer. */
const rpc = (message: string | undefined, method = 'POST', args?: object) =>
  call({
    action: {
      ...{ protocol: 'mcp', upstream: 'tools', method, path: '/', target: '/mcp' },
      ...(args !== undefined && { args: args as never }),
      ...(method === 'POST' && { mcp: mcpOf(message === undefined ? {} : { method: message }) }),
    },
  });

describe('the life of an MCP session', () => {
  test.each(['initialize', 'notifications/initialized', 'ping', 'tools/list'])(
    '%s is allowed by a built-in rule',
    (method) => {
      expect(decide([], rpc(method))).toMatchObject({ effect: 'allow', reasons: ['rule:mcp:lifecycle'] });
    },
  );

  test.each(['tools/call', 'resources/read', 'prompts/get', 'Initialize', 'sampling/createMessage'])(
    '%s is not',
    (method) => {
      expect(decide([], rpc(method)).effect).toBe('deny');
    },
  );

  test.each(['initialized', 'cancelled', 'progress', 'roots/list_changed', 'tasks/status'])(
    'the notification %s of the protocol is allowed',
    (name) => {
      expect(decide([], rpc(`notifications/${name}`)).effect).toBe('allow');
    },
  );

  // The kind: a name that begins as something harmless does.
  test.each([
    'delete_everything',
    'x',
    '',
    'initialized/x',
    'Initialized',
    'message',
    'tools/list_changed',
    'elicitation/complete',
  ])('a notification %s is none that a client of the protocol has', (name) => {
    expect(decide([], rpc(`notifications/${name}`))).toMatchObject({ effect: 'deny', reasons: ['no_matching_rule'] });
  });

  test('the event stream can be opened and the session ended, but an answer without a method needs a rule', () => {
    expect([
      decide([], rpc(undefined, 'GET')).effect,
      decide([], rpc(undefined, 'DELETE')).effect,
      decide([], rpc(undefined)).effect,
    ]).toEqual(['allow', 'allow', 'deny']);
  });

  test('a deny rule outweighs it, and a configuration can do without it', () => {
    expect(
      decide([{ id: 'no', match: { upstream: 'tools', mcp: ['tools/*'] }, decide: 'deny' }], rpc('tools/list')).effect,
    ).toBe('deny');
    const bare = compilePolicy(policyOf([], { upstreams: { tools: { protocol: 'mcp', mcpLifecycle: false } } }));
    expect(bare.decide(rpc('initialize')).effect).toBe('deny');
  });
});

describe('a rule that names no tool, method, resource or prompt', () => {
  // The kind: a rule that was written with calls in mind and meets the messages that keep a session alive.
  const message = (name: string | undefined, method = 'POST', args: object = {}) => rpc(name, method, args);
  const lifecycle = [
    ...[
      'initialize',
      'ping',
      'tools/list',
      'resources/list',
      'prompts/list',
      'logging/setLevel',
      'server/discover',
      'notifications/initialized',
    ].map((each) => message(each)),
    ...[
      message('notifications/cancelled'),
      message('notifications/progress'),
      message('(answer)'),
      message(undefined, 'GET'),
      message(undefined, 'DELETE'),
    ],
  ];

  test.each<[string, Omit<RuleOptions, 'id'>]>([
    ['holds everything', { match: {}, decide: 'hold', tier: 'one' }],
    ['holds everything of an upstream', { match: { upstream: 'tools' }, decide: 'hold', tier: 'one' }],
    [
      'holds by method and path',
      { match: { upstream: 'tools', methods: ['POST', 'GET', 'DELETE'], path: '/*' }, decide: 'hold', tier: 'one' },
    ],
    ['holds by arguments', { match: {}, when: 'args.amount > 5', decide: 'hold', tier: 'one' }],
    ['denies by arguments', { match: { upstream: 'tools' }, when: 'args.amount > 5', decide: 'deny' }],
    ['denies by hints', { match: { upstream: 'tools' }, when: 'hints.destructiveHint != false', decide: 'deny' }],
  ])('and %s, means calls and no session', (_, rule) => {
    for (const input of lifecycle) expect(decide([{ id: 'r', ...rule }], input)).toMatchObject({ effect: 'allow' });
    for (const input of [
      toolCall('t'),
      message('resources/read', 'POST', { uri: 'x' }),
      message('completion/complete'),
      message('vendor/anything'),
    ])
      expect(
        decide(
          [
            { id: 'all', match: {}, decide: 'allow' },
            { id: 'r', ...rule },
          ],
          input,
        ).effect,
      ).toBe(rule.decide);
  });

  test('and denies whatever is asked, or whoever asks, means the session as well', () => {
    for (const rule of [{ match: {} }, { match: { upstream: 'tools' } }, { match: {}, when: 'agent.issuer != "x"' }])
      for (const input of lifecycle) expect(decide([{ id: 'r', decide: 'deny', ...rule }], input).effect).toBe('deny');
  });

  test('but one that names a method means it', () => {
    expect(
      decide([{ id: 'r', match: { mcp: ['initialize'] }, decide: 'hold', tier: 'one' }], message('initialize')).effect,
    ).toBe('hold');
    expect(decide([{ id: 'r', match: { mcp: ['*'] }, decide: 'hold', tier: 'one' }], message('ping')).effect).toBe(
      'hold',
    );
  });
});

describe('the credential', () => {
  const scoped = (id: string, credential: RuleOptions['credential']): RuleOptions => ({
    id,
    match: { upstream: 'ledger', path: '/repos/:owner/:repo' },
    decide: 'hold',
    tier: 'one',
    ...(credential && { credential }),
  });
  const at = (path: string) => call({ action: { path } });
  const template = { repositories: ['{repo}'], note: { of: '{owner}/{repo}' }, count: 1 };

  test('is narrowed by the parameters of the path', () => {
    expect(decide([scoped('r', template)], at('/repos/acme/site')).credential).toEqual({
      name: 'ledger-token',
      scope: { repositories: ['site'], note: { of: 'acme/site' }, count: 1 },
    });
  });

  test.each(['a%20b', 'a,b', 'a%22b', 'a*', '%7brepo%7d', 'é', 'a;b'])('a parameter of %s denies the call', (repo) => {
    expect(decide([scoped('r', template)], at(`/repos/acme/${repo}`))).toMatchObject({
      effect: 'deny',
      reasons: ['unsafe_parameter:repo', 'rule:r'],
    });
  });

  test('two different narrowings deny the call, two equal ones and a silent one do not', () => {
    const rules = [scoped('a', { x: 1 }), scoped('b', undefined), scoped('c', { x: 1 })];
    expect(decide(rules, at('/repos/a/b')).credential?.scope).toEqual({ x: 1 });
    expect(decide([...rules, scoped('d', { x: 2 })], at('/repos/a/b'))).toMatchObject({
      effect: 'deny',
      reasons: ['conflicting_credential_scopes', 'rule:a', 'rule:b', 'rule:c', 'rule:d'],
    });
  });

  test('is planned neither for a deny nor for an upstream without one', () => {
    expect(decide([deny]).credential).toBeUndefined();
    expect(
      decide([{ ...allow, match: { upstream: 'other' } }], call({ action: { upstream: 'other' } })),
    ).not.toHaveProperty('credential');
  });
});

describe('what reviewers are told', () => {
  test('what matched rules say of the data in words that are no label', () => {
    const rules = [
      { ...allow, data: 'names of customers' },
      { ...hold, data: 'restricted' },
    ];
    expect(decide(rules)).toMatchObject({ dataWords: ['names of customers'] });
    expect(decide([allow])).not.toHaveProperty('dataWords');
  });
});

test('a policy with faults is not compiled', () => {
  expect(() => compilePolicy(policyOf([{ ...allow, when: 'nobody.knows' }]))).toThrow(
    /rules\.0\.when: There is no variable `nobody`/,
  );
  expect(() => compilePolicy(policyOf([hold], { tiers: {} }))).toThrow(/rules\.0\.tier/);
  expect(() => compilePolicy(policyOf([hold], { tiers: { one: tierOf() } }))).not.toThrow();
});
