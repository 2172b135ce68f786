// Marks in the steps, over a real store. Kinds: an answer that goes on although its mark could not be written, a mark that
// falls between a look-up and the sending, and an approval that is used although a new mark makes another rule match.

import { describe, expect } from 'vitest';
import { markKeysOf } from '../../src/domain/taint.ts';
import { GatewayError } from '../../src/errors.ts';
import type { RuleOptions } from '../../src/policy/rules.ts';
import { it, LOOK, TRANSFER, type Workbench } from './workbench.ts';

const RULES: readonly RuleOptions[] = [
  { id: 'all', match: { upstream: 'ledger' }, decide: 'allow' },
  { id: 'leak', match: { upstream: 'ledger', path: '/send' }, when: '"secret" in tainted', decide: 'deny' },
  { id: 'pay', match: { upstream: 'ledger', path: '/transfers' }, decide: 'hold', tier: 'finance' },
  { id: 'pay-marked', match: { upstream: 'ledger', path: '/transfers' }, when: '"secret" in tainted', decide: 'deny' },
];
const SEND = { method: 'GET', path: '/send' };

function marking(work: Workbench): void {
  work.rules = RULES;
  work.taints = new Map([['secret', 60_000]]);
  work.resources = [{ id: 'accounts', match: { upstream: 'ledger', path: '/accounts' }, taints: ['secret'] }];
  work.upstream = async (_outgoing, sink) => {
    sink.whole(200, [], '{"ok":true}');
    return { status: 200, complete: true };
  };
}

const keys = (work: Workbench) => markKeysOf(work.caller.principal, undefined);
const mark = (work: Workbench) =>
  work.bench.store.marks.set(keys(work), [{ taint: 'secret', forMs: 60_000 }], {
    ...{ call: 'another', at: work.bench.clock.now(), resources: ['accounts'] },
    ...{ agent: 'a', chain: [] },
  });
const errorsOf = (work: Workbench) => work.counted.map(({ error }) => error ?? 'none');

describe('an answer that marks', () => {
  it('is withheld when its mark cannot be written', async ({ work }) => {
    marking(work);
    work.bench.store.marks.set = () => Promise.reject(new GatewayError('store_unavailable', 'The disk is full.'));
    const { call, sink } = work.call(LOOK);
    await work.run({ call, sink, leave() {} });
    expect(errorsOf(work)).toEqual(['store_unavailable']);
    expect(sink.told).toHaveLength(1);
    expect(sink.told[0]).toMatch(/^503 .*"code":"store_unavailable"/);
  });

  it('goes on when its mark is there, and the next call is stopped', async ({ work }) => {
    marking(work);
    const read = work.call(LOOK);
    await work.run(read);
    expect(read.sink.told).toEqual(['200 {"ok":true}']);
    await work.run(work.call(SEND));
    expect(errorsOf(work)).toEqual(['none', 'denied']);
    expect(work.counted[0]?.marked).toEqual(['secret']);
  });
});

describe('a call whose rules read marks', () => {
  it('is refused when the store does not answer, and not let through', async ({ work }) => {
    marking(work);
    work.bench.store.marks.on = () => Promise.reject(new GatewayError('store_unavailable', 'The store is gone.'));
    await work.run(work.call(SEND));
    expect([errorsOf(work), work.sent]).toEqual([['store_unavailable'], []]);
  });

  it('costs one look-up, and a call whose rules read none costs nothing', async ({ work }) => {
    marking(work);
    const { on } = work.bench.store.marks;
    let looks = 0;
    work.bench.store.marks.on = (of) => {
      looks += 1;
      return on.call(work.bench.store.marks, of);
    };
    await work.run(work.call({ method: 'GET', path: '/elsewhere' }));
    expect(looks).toBe(0);
    await work.run(work.call(SEND));
    expect(looks).toBe(1);
  });

  // The reader's mark lands while the other call's look-up is under way, or after it and before the sending.
  it('is decided on again when a mark falls between its look-up and its sending', async ({ work }) => {
    marking(work);
    const { on } = work.bench.store.marks;
    let first = true;
    work.bench.store.marks.on = async (of) => {
      const found = await on.call(work.bench.store.marks, of);
      if (!first) return found;
      first = false;
      await work.run(work.call(LOOK));
      return found;
    };
    await work.run(work.call(SEND));
    expect(errorsOf(work)).toEqual(['none', 'denied']);
    expect(work.sent).toHaveLength(1);
  });
});

describe('an approved call', () => {
  it('is void when a mark that appeared makes another rule match', async ({ work }) => {
    marking(work);
    const again = await work.approved(TRANSFER);
    await mark(work);
    await work.run(again);
    expect(errorsOf(work).at(-1)).toBe('denied');
    expect(work.sent).toEqual([]);
  });
});

describe('a suspension', () => {
  // The agent writes its body while it is suspended: what comes after must not reach the upstream.
  it('cuts an upload that is under way', async ({ work }) => {
    marking(work);
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    work.upstream = async () => {
      await work.suspend();
      expect(work.openCalls.cut()).toBe(1);
      resolve();
      throw new GatewayError('client_closed', 'The agent went away while the upstream was at work.');
    };
    const upload = work.call({ method: 'POST', path: '/upload', body: {}, underway: true });
    await work.run(upload);
    await answered;
    expect(errorsOf(work)).toEqual(['principal_suspended']);
    expect(upload.sink.told).toContain('abort');
  });
});
