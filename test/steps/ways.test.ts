// The table at the top of pipeline.ts against what the steps do: each cell is looked at in a call of its kind.

import { describe, expect } from 'vitest';
import type { CallKind, Ways } from '../../src/domain/call-kind.ts';
import { kindOf } from '../../src/domain/call-kind.ts';
import type { Identified } from '../../src/domain/identity.ts';
import { WAYS } from '../../src/pipeline.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { principalOf } from '../support/holds/values.ts';
import { it, LOOK, NO_PROTOCOL, type OpenedCall, TRANSFER, upgradeOf, type Workbench } from './workbench.ts';

const KINDS: readonly CallKind[] = ['plain', 'resumed', 'subcall', 'upgrade', 'shared'];
const ALLOW_ALL: readonly RuleOptions[] = [{ id: 'all', match: {}, decide: 'allow' }];
const HOLD_ALL: readonly RuleOptions[] = [{ id: 'all', match: {}, decide: 'hold', tier: 'finance' }];
const PARENT: Identified = { principal: principalOf() };

/** A call of this kind. One that is resumed comes for a hold that was opened before, and stands as it was left. */
async function callOf(work: Workbench, kind: CallKind, verdict?: 'approve', headers: string[] = []) {
  switch (kind) {
    case 'plain':
      return work.call({ ...LOOK, headers });
    case 'subcall':
      return work.call({ ...LOOK, headers, subcall: { mount: 'ledger', identified: PARENT } });
    case 'shared':
      return work.call({ ...LOOK, headers, mount: 'all' });
    case 'upgrade':
      work.mount = { ...work.mount, webSocket: true };
      return work.call({ ...LOOK, headers, upgrade: upgradeOf() });
    case 'resumed': {
      const { rules } = work;
      work.rules = HOLD_ALL;
      const first = work.call({ ...TRANSFER, headers });
      await work.run(first);
      work.rules = rules;
      const hold = await work.hold(verdict);
      const { action } = first.call.reached;
      if (action === undefined) throw new Error('the first call was not read');
      work.handler = { ...NO_PROTOCOL, onMessage: async () => ({ action, hold }) };
      return work.call({ ...LOOK, headers });
    }
  }
}

/** A call of this kind that gets as far as its upstream. */
function callToSend(work: Workbench, kind: CallKind, headers?: string[]): Promise<OpenedCall> {
  work.rules = kind === 'resumed' ? HOLD_ALL : ALLOW_ALL;
  return callOf(work, kind, 'approve', headers);
}

async function errorOf(work: Workbench, opened: OpenedCall): Promise<string | undefined> {
  await work.run(opened);
  return opened.call.reached.error?.code;
}

/** What is seen of a call of this kind, in the words of the table. */
const SEEN: { readonly [Name in keyof Ways]: (work: Workbench, kind: CallKind) => Promise<unknown> } = {
  async identify(work, kind) {
    const opened = await callToSend(work, kind);
    await work.run(opened);
    return opened.call.reached.principal === PARENT.principal ? 'parent' : 'token';
  },
  async counted(work, kind) {
    const opened = await callToSend(work, kind);
    Object.assign(opened.call.runtime, { callsPerAgent: 0 });
    return (await errorOf(work, opened)) === 'too_many_calls';
  },
  async clearedBy(work, kind) {
    work.rules = ALLOW_ALL;
    await work.run(await callOf(work, kind));
    return work.sentBy.length > 0 ? 'rules' : 'approval';
  },
  async hold(work, kind) {
    work.rules = HOLD_ALL;
    const code = await errorOf(work, await callOf(work, kind));
    return code === 'approval_pending' ? 'wait' : code === 'denied' ? 'deny' : code;
  },
  async place(work, kind) {
    work.mount = { pool: { connections: 0, queue: 0, waitMs: 1 } };
    const code = await errorOf(work, await callToSend(work, kind));
    return code === undefined ? false : code === 'too_many_calls' || code;
  },
  async sentBy(work, kind) {
    await work.run(await callToSend(work, kind));
    return work.sentBy.length === 1 ? work.sentBy[0] : work.sentBy;
  },
  async again(work, kind) {
    work.upstream = async (_outgoing, sink) => {
      sink.whole(401, [], '');
      return { status: 401, complete: true };
    };
    work.rules = ALLOW_ALL;
    await work.run(work.call(LOOK));
    // So fresh a credential cannot be stale.
    work.bench.clock.advance(60_000);
    const opened = await callToSend(work, kind);
    const before = work.sentBy.length;
    await work.run(opened);
    expect(work.sentBy.length).toBeGreaterThan(before);
    return work.sentBy.length > before + 1;
  },
  async history(work, kind) {
    const task = await work.task();
    let before: number | undefined;
    let after: number | undefined;
    work.upstream = async (_outgoing, sink) => {
      before = work.bench.store.tasks.calls(task.id).length;
      sink.whole(200, [], '');
      after = work.bench.store.tasks.calls(task.id).length;
      return { status: 200, complete: true };
    };
    const opened = await callToSend(work, kind, ['countersign-task', task.id]);
    const known = work.bench.store.tasks.calls(task.id).length;
    await work.run(opened);
    expect(after).toBe(known + 1);
    return before === known ? 'answer' : 'sent';
  },
  async cut(work, kind) {
    const opened = await callToSend(work, kind);
    let cut = 0;
    work.upstream = async (_outgoing, sink) => {
      sink.head(200, ['content-type', 'text/plain']);
      await work.suspend();
      cut = work.openCalls.cut();
      return { status: 200, complete: true };
    };
    await work.run(opened);
    if (cut === 0) return 'nothing';
    return opened.call.upgrade?.socket.destroyed ? 'connection' : opened.sink.told.includes('abort') && 'stream';
  },
};

describe.each(KINDS)('a call of kind %s', (kind) => {
  it.for(Object.keys(SEEN) as (keyof Ways)[])('does what the table says of: %s', async (name, { work }) => {
    expect(await SEEN[name](work, kind)).toBe(WAYS[name][kind]);
  });

  it('is taken for one', async ({ work }) => {
    const opened = await callToSend(work, kind);
    await work.run(opened);
    expect(kindOf(opened.call.reached)).toBe(kind);
  });
});

it('covers the whole table', () => {
  expect(Object.keys(SEEN).toSorted()).toEqual(Object.keys(WAYS).toSorted());
});
