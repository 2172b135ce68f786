// decide: the policy in force over the whole call, and the digest that an approval would bind.

import { describe, expect } from 'vitest';
import { actionDigest } from '../../src/actions/digest.ts';
import { approvalOf } from '../../src/approvals/quorum.ts';
import { decide } from '../../src/steps/decide.ts';
import { requirementOf, reviewerOf } from '../support/holds/values.ts';
import { it, LOOK, RULES, TRANSFER } from './workbench.ts';

describe('a decision', () => {
  it.for([
    ['GET', '/accounts', 'allow', ['rule:look']],
    ['POST', '/transfers', 'hold', ['rule:pay']],
    ['DELETE', '/accounts', 'deny', ['rule:drop']],
    ['PUT', '/accounts', 'deny', ['no_matching_rule']],
  ] as const)('on %s %s is %s', async ([method, path, effect, reasons], { work }) => {
    const opened = work.call({ method, path });
    const { decision } = await work.decided(opened);
    expect([decision.effect, decision.reasons]).toEqual([effect, reasons]);
    expect(opened.call.reached.decision).toBe(decision);
  });

  it('is by the configuration under which the call arrived', async ({ work }) => {
    const opened = work.call(TRANSFER);
    work.rules = [{ id: 'all', match: { upstream: 'ledger' }, decide: 'allow' }];
    expect((await work.decided(opened)).decision.effect).toBe('hold');
    expect((await work.decided(work.call(TRANSFER))).decision.effect).toBe('allow');
  });

  it('counts the calls of the task that are under way', async ({ work }) => {
    work.rules = [{ id: 'few', match: { upstream: 'ledger' }, when: 'task.calls.size() < 1', decide: 'allow' }];
    const task = await work.task();
    const shape = { ...LOOK, headers: ['countersign-task', task.id] };
    const first = await work.cleared(work.call(shape));
    expect(first.decision.effect).toBe('allow');
    expect((await work.decided(work.call(shape))).decision.effect).toBe('deny');
  });
});

describe('the digest', () => {
  it('binds the action, the rules and the credential', async ({ work }) => {
    const { action, actionDigest: digest, decision } = await work.decided(work.call(TRANSFER));
    const ruleIds = decision.rules.map(({ id }) => id);
    expect(digest).toBe(actionDigest(action, { ruleIds, credential: { name: 'key', scope: {} } }));
    expect(digest).not.toBe(actionDigest(action, { ruleIds }));
    work.credential = undefined;
    expect((await work.decided(work.call(TRANSFER))).actionDigest).toBe(actionDigest(action, { ruleIds }));
  });

  it('of the time before MCP sessions were left out is made for calls that ask for a hold, and for no others', async ({
    work,
  }) => {
    const asked: string[] = [];
    const digests = {
      of: () => 'now',
      former: () => {
        asked.push('former');
        return 'before';
      },
    };
    const assessed = await work.assessed(work.call(LOOK));
    const { runtime } = assessed.call;
    expect(decide(runtime, work.bench.clock, digests, assessed)).not.toHaveProperty('formerActionDigest');
    const held = await work.assessed(work.call(TRANSFER));
    expect(decide(runtime, work.bench.clock, digests, held)).toMatchObject({ formerActionDigest: 'before' });
    expect(asked).toEqual(['former']);
  });
});

describe('an approval', () => {
  it('is one more input: with enough votes the same call is allowed, and with too few it stays held', async ({
    work,
  }) => {
    work.rules = RULES;
    await work.run(work.call(TRANSFER));
    const hold = await work.hold('approve');
    if (hold.state !== 'APPROVED') throw new Error(hold.state);
    const assessed = await work.assessed(work.call(TRANSFER));
    const judge = (approval: ReturnType<typeof approvalOf>) =>
      decide(assessed.call.runtime, work.bench.clock, { of: () => '', former: () => undefined }, assessed, approval)
        .decision.effect;
    const given = approvalOf(hold, work.bench.clock.now(), new Set());
    expect(judge(given)).toBe('allow');
    expect(judge(approvalOf(hold, work.bench.clock.now(), new Set(['alice'])))).toBe('hold');
    expect(given.satisfies([requirementOf({ reviewers: [`user:${reviewerOf('bob').subject}`] })])).toBe(false);
  });
});
