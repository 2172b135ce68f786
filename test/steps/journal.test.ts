// journal: the decision is on record before any effect, and on disk where the effect could not be found again.

import { describe, expect } from 'vitest';
import { codeOf } from '../support/failures.ts';
import { it, LOOK, type Workbench } from './workbench.ts';

const decisions = (work: Workbench) => work.bench.audit.filter(({ type }) => type === 'decision');

/** How durable the journal asked each decision to be. */
function durabilities(work: Workbench): string[] {
  const asked: string[] = [];
  const { audit } = work.bench.options;
  const { append } = audit;
  Object.assign(audit, {
    append: (...args: Parameters<typeof append>) => {
      if (args[0] === 'decision') asked.push(args[3]);
      return append.apply(audit, args);
    },
  });
  return asked;
}

describe('the decision on a cleared call', () => {
  it('is on record before the call goes on, and the call knows where', async ({ work }) => {
    const opened = work.call(LOOK);
    const { auditSeq } = await work.journaled(opened);
    const [entry] = decisions(work);
    expect(entry?.record).toMatchObject({ call: opened.call.id, decision: { effect: 'allow' } });
    expect(work.bench.audit[auditSeq - 1]).toBe(entry);
    expect([opened.call.reached.auditSeq, work.sent]).toEqual([auditSeq, []]);
  });

  it('that cannot be written stops the call before a credential is made', async ({ work }) => {
    let minted = 0;
    const { mint } = work;
    work.mint = (grant) => {
      minted += 1;
      return mint(grant);
    };
    work.bench.onAppend(() => Promise.reject(new Error('the disk is full')));
    const opened = work.call(LOOK);
    expect(await codeOf(work.journaled(opened))).toBe('Error: the disk is full');
    await work.run(work.call(LOOK));
    expect([minted, work.sent]).toEqual([0, []]);
  });

  it.for([
    ['a rule allows and whose credential others share', true, 'key', 'soon'],
    ['a rule allows and that has a credential of its own', false, 'key', 'fsync'],
    ['a rule allows and that has no credential', false, undefined, 'soon'],
  ] as const)('that %s is as durable as it must be', async ([_what, shareable, credential, durability], { work }) => {
    work.shareable = shareable;
    work.credential = credential;
    const asked = durabilities(work);
    await work.journaled(work.call(LOOK));
    expect(asked).toEqual([durability]);
  });

  it.for(['key', undefined])(
    'that people approved is on disk, whatever its credential is: %s',
    async (credential, { work }) => {
      work.credential = credential;
      const opened = await work.approved();
      const asked = durabilities(work);
      await work.journaled(opened);
      expect(asked).toEqual(['fsync']);
    },
  );
});

describe('a call that passes and is watched', () => {
  const watched = {
    id: 'look',
    match: { upstream: 'ledger' },
    decide: 'allow',
    notify: ['soc'],
    data: 'personal',
  } as const;

  it('is on the list, with a notice for each channel, before it has an effect', async ({ work }) => {
    work.rules = [watched];
    const task = await work.task();
    await work.journaled(work.call({ ...LOOK, headers: ['countersign-task', task.id] }));
    const { passed } = await work.bench.store.watch.list({});
    expect(passed).toMatchObject([
      {
        ...{ upstream: 'ledger', method: 'GET', path: '/accounts', rules: ['look'], data: 'personal' },
        task: { id: task.id, revision: 1, objective: 'pay the bills' },
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    ]);
    expect(await work.bench.store.notifications.list({})).toMatchObject([{ kind: 'call.passed', channel: 'soc' }]);
    expect(work.sent).toEqual([]);
  });

  it('is not on the list when people approved it', async ({ work }) => {
    const opened = await work.approved();
    await work.journaled(opened);
    expect((await work.bench.store.watch.list({})).passed).toEqual([]);
  });
});
