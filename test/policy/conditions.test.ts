import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../src/domain/decision.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { agent, approval, call, post, task, toolCall, variablesOf } from './inputs.ts';

const run = (expression: string, input: DecisionInput = call()) =>
  compileCondition(expression).evaluate(variablesOf(input));

describe('what a condition sees', () => {
  const rich = call({
    action: {
      method: 'POST',
      path: '/transfers',
      query: 'dry=1&q=a+b%21&d=1&d=2',
      args: { amount: 1000 },
      body: { bytes: new Uint8Array(1), digest: '' },
    },
    headers: ['x-team', 'billing', 'x-two', 'a', 'x-two', 'b', 'constructor', 'c'],
    task,
    calls: [{ at: 1, upstream: 'ledger', method: 'GET', path: '/', decision: 'allow', status: 200 }],
    approval: approval(true, 90_000),
  });

  test.each([
    ['agent.id.startsWith("spiffe://prod.example.org/")', true],
    ['agent.trustDomain == "prod.example.org"', true],
    ['agent.claims.team == "billing" && "reader" in agent.claims.roles', true],
    ['agent.onBehalfOf.exists(p, p.subject == "alice")', true],
    ['request.method == "POST" && request.path == "/transfers"', true],
    ['request.query.dry == "1" && request.query.q == "a b!"', true],
    ['request.query.d == "1"', 'failed'],
    ['has(request.query.nope)', false],
    ['request.headers["x-team"] == "billing"', true],
    ['request.headers["x-two"] == "a"', 'failed'],
    ['request.headers.constructor == "c"', true],
    ['request.body.amount == args.amount', true],
    ['tool == ""', true],
    ['task.id == "task_1" && "routine" in task.labels', true],
    ['task.calls.filter(c, c.upstream == "ledger" && c.status == 200).size() == 1', true],
    ['approval.count == 1 && approval.age >= duration("90s")', true],
    ['"https://idp.example.org#bob" in approval.reviewers', true],
    ['now > timestamp("2027-01-01T00:00:00Z")', true],
  ])('%s gives %s', (expression, result) => {
    expect(run(expression, rich)).toBe(result);
  });

  test('what is missing can be told from what is empty', () => {
    expect([
      run('has(task.id)'),
      run('task.id == ""'),
      run('approval.count == 0'),
      run('has(approval.age)'),
      run('approval.age < duration("1s")'),
    ]).toEqual([false, 'failed', true, false, 'failed']);
    expect([
      run('has(args.x)'),
      run('args.x == 1'),
      run('has(args.x)', post(undefined)),
      run('has(request.body.x)', post(undefined)),
    ]).toEqual([false, 'failed', 'failed', 'failed']);
  });

  test('an OIDC principal has an empty trust domain', () => {
    const { trustDomain: _, ...oidc } = agent;
    expect(run('agent.trustDomain == ""', call({ principal: oidc }))).toBe(true);
    expect(run('agent.spiffeId == agent.id', call())).toBe(true);
    expect(run('agent.spiffeId == ""', call({ principal: { ...oidc, kind: 'oidc' } }))).toBe(true);
    expect(
      run('agent.spiffeId == "spiffe://a/b"', call({ principal: { ...oidc, kind: 'oidc', spiffeId: 'spiffe://a/b' } })),
    ).toBe(true);
  });

  test('a query with a malformed escape cannot be read', () => {
    expect(run('has(request.query.a)', call({ action: { query: 'a=%zz' } }))).not.toBe(true);
    expect(run('request.query.a == "1"', call({ action: { query: 'a=1&b=%ff' } }))).toBe('failed');
  });

  test('an encoded parameter name does not lead around a condition', () => {
    expect(run('request.query.amount == "5"', call({ action: { query: '%61mount=5' } }))).toBe(true);
  });
});

describe('numbers', () => {
  test.each([
    ['args.amount > 1000', 1001, true],
    ['args.amount > 1000', 1000, false],
    ['args.amount > 1000', 1000.5, true],
    ['args.amount > 1000.5', 1001, true],
    ['args.amount > 1000.5', 1000.25, false],
    ['args.amount == 1000', 1000, true],
    ['args.amount in [1, 1000]', 1000, true],
    ['args.amount > 1000', '5000', 'failed'],
    ['args.amount > 1000', null, 'failed'],
    ['args.amount > 1000', [5000], 'failed'],
  ])('%s with %j gives %s', (expression, amount, result) => {
    expect(run(expression, post({ amount }))).toBe(result);
    expect(run(expression, toolCall('pay', { amount }))).toBe(result);
  });
});

describe('no name reaches a JavaScript prototype', () => {
  test.each([
    'args.constructor',
    'args.__proto__',
    'args.toString',
    'args.o.hasOwnProperty',
    'args["constructor"]',
    'args.s.constructor',
    'args.l.length',
  ])('%s is not there', (expression) => {
    const input = post({ o: {}, s: 'text', l: [1] });
    expect(run(`${expression} != 1`, input)).toBe('failed');
    // Of what is no map, has() cannot tell anything.
    const isMember = expression.startsWith('args.s') || expression.startsWith('args.l') ? 'failed' : false;
    if (!expression.includes('[')) expect(run(`has(${expression})`, input)).toBe(isMember);
  });

  test('a body that brings such names of its own fails closed or reads its own value', () => {
    const own: unknown = JSON.parse('{"__proto__": {"admin": true}, "amount": 1}');
    expect(run('has(args.admin)', post(own as { amount: number }))).toBe(false);
    expect(run('args.constructor == 1', post({ constructor: 1 } as never))).toBe(true);
  });
});

describe('what is refused when the policy is loaded', () => {
  test.each([
    ['amount > 1', 'There is no variable `amount` (at character 1). Variables: `agent`, '],
    ['agent.name == "x"', '`agent` has no member `name` (at character 7). Members: `id`, '],
    ['request.constructor == 1', '`request` has no member `constructor`'],
    ['tool == 1', 'no such overload'],
    ['tool', 'Write an expression that is true or false: this one gives string.'],
    ['args.', 'Expected IDENTIFIER'],
    ['tool.matches(args.pattern)', 'Write the pattern of `matches()` out'],
    ['tool.matches("(")', 'Write the pattern of `matches()` as RE2 takes it'],
    ['tool.matches("^(?=a)(a+)+$")', 'no lookaround'],
    ['tool.matches("(a+)\\\\1")', 'no backreferences'],
    ['tool.matches("^(a{1,1000}){1,1000}$")', 'no large repetitions'],
    [Array.from({ length: 600 }, () => 'true').join(' && '), 'Exceeded max'],
  ])('%.40s', (expression, message) => {
    expect(() => compileCondition(expression)).toThrow(message);
  });
});

test.each(['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '^(.*a){12}$', '(x+x+)+y|^(a*)*$'])(
  'a pattern that backtracks wildly ends: %s',
  (pattern) => {
    expect(run(`args.s.matches("${pattern}")`, post({ s: `${'a'.repeat(60)}!` }))).toBe(false);
  },
);

describe('whether a condition reads the body is never underestimated', () => {
  test.each([
    ['tool == "x"', false],
    ['request.method == "GET" && request.query.a == "1"', false],
    ['agent.claims.team == "x"', false],
    ['args.amount > 1', true],
    ['has(args.x)', true],
    ['request.body.x == 1', true],
    ['has(request.body)', true],
    ['has(request.body.x)', true],
    ['cel.bind(r, request, r.body.x == 1)', true],
    ['[request].exists(r, has(r.body))', true],
    ['dyn(request)[tool] == 1', true],
    ['task.labels.exists(l, has(args.x))', true],
  ])('%s: %s', (expression, reads) => {
    expect(compileCondition(expression).readsBody).toBe(reads);
  });
});

describe('whether a condition reads the history of the task is never underestimated', () => {
  test.each([
    ['has(task.id) && task.objective == "x" && task.labels.exists(l, l == "y")', false],
    ['request.headers.calls == "1" && args.task == "calls"', false],
    ['task.calls.size() > 1', true],
    ['has(task.calls)', true],
    ['task["calls"].size() > 1', true],
    ['task[request.method].size() > 1', true],
    ['cel.bind(t, task, t.calls.size() > 1)', true],
    ['[task].exists(t, t.calls.size() > 1)', true],
    ['dyn(task).calls.size() > 1', true],
    ['has(task.id) && task.labels.exists(l, task.calls.exists(c, c.path == l))', true],
  ])('%s: %s', (expression, reads) => {
    expect(compileCondition(expression).factsRead).toEqual(new Set(reads ? ['history'] : []));
  });
});
