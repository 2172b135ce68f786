// Pins the kind "a name that is only nearly the one that a rule reads": what a server takes for it, a condition must
// not take for nothing.

import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/domain/action.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { call, policyOf, post, toolCall } from './inputs.ts';

const POST = { upstream: 'ledger', methods: ['POST'] };
const decide = (rules: readonly RuleOptions[], input: ReturnType<typeof post>) =>
  compilePolicy(policyOf(rules)).decide(input).effect;
const guarded = (when: string): readonly RuleOptions[] => [
  { id: 'all', match: POST, decide: 'allow' },
  { id: 'large', match: POST, when, decide: 'hold', tier: 'one' },
];
const LARGE = 'has(args.toAccount) && args.toAccount == "evil"';

describe('a rule that asks first whether a member is there', () => {
  it.each<[string, Action['args']]>([
    ['case', { TOACCOUNT: 'evil' }],
    ['underscores, as protobuf has it', { to_account: 'evil' }],
    ['hyphens', { 'to-account': 'evil' }],
    ['width', { ｔoAccount: 'evil' }],
    ['an unseen character', { 'to\u200bAccount': 'evil' }],
    ['all small', { toaccount: 'evil' }],
  ])('is not passed by another spelling: %s', (_what, args) => {
    expect(decide(guarded(LARGE), post(args))).toBe('hold');
    expect(decide([{ id: 'none', match: POST, when: '!has(args.toAccount)', decide: 'allow' }], post(args))).toBe(
      'deny',
    );
  });

  it.each([
    ['args["toAccount"]', '"toAccount" in args && args["toAccount"] == "evil"'],
    ['request.body', 'has(request.body.toAccount) && request.body.toAccount == "evil"'],
    ['single quotes', "'toAccount' in args && args['toAccount'] == 'evil'"],
  ])('is not passed however it names it: %s', (_what, when) => {
    expect(decide(guarded(when), post({ ToAccount: 'evil' }))).toBe('hold');
    expect(decide(guarded(when), post({ other: 'evil' }))).toBe('allow');
  });

  it('is as strict with a tool’s arguments', () => {
    const rules: readonly RuleOptions[] = [
      { id: 'all', match: { upstream: 'tools' }, decide: 'allow' },
      { id: 'large', match: { tool: 'pay' }, when: 'has(args.amount) && args.amount > 100', decide: 'deny' },
    ];
    expect(decide(rules, toolCall('pay', { Amount: 1000 }))).toBe('deny');
    expect(decide(rules, toolCall('pay', { amount: 1 }))).toBe('allow');
  });

  it.each<[string, string, 'allow' | 'hold']>([
    ['case', 'Force=true', 'hold'],
    ['a leading blank, as PHP has it', '+force=true', 'hold'],
    ['an array, as PHP and qs have it', 'force[]=true', 'hold'],
    ['a semicolon', 'a=1;force=true', 'hold'],
    ['twice', 'force=false&force=true', 'hold'],
    ['twice in another spelling', 'force=false&FORCE=true', 'hold'],
    ['another name', 'forced=true&x=force', 'allow'],
    ['the name itself', 'force=false', 'allow'],
  ])('is not passed by a parameter in another spelling: %s', (_what, query, effect) => {
    const input = call({ action: { method: 'POST', query, target: `/transfers?${query}`, path: '/transfers' } });
    expect(decide(guarded('has(request.query.force) && request.query.force == "true"'), input)).toBe(effect);
  });
});

describe('an honest call', () => {
  it.each<[string, Action['args']]>([
    ['args.amount <= 100 && args.currency == "EUR"', { amount: 5, currency: 'EUR', rates: { eur: 1 } }],
    ['args.items.all(i, i.price < 10)', { items: [{ price: 1 }], size: 1, All: 2, Map: 3 }],
    [
      'args.name != "x" && request.path == "/transfers" && request.method == "POST"',
      { name: 'a', Path: 'b', Method: 'c' },
    ],
    ['args.to in ["acme", "other"]', { to: 'acme', Acme: 1 }],
    ['args.user_id == "a" && has(args.userId)', { user_id: 'a', userId: 'b' }],
  ])('meets %s as before', (when, args) => {
    expect(decide([{ id: 'a', match: POST, when, decide: 'allow' }], post(args))).toBe('allow');
  });
});
