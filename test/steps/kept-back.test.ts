// An answer that is kept back. Pins the kinds "a byte that goes out before its mark" and "an answer that is told twice".

import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { KeptBack } from '../../src/steps/kept-back.ts';
import { codeOf } from '../support/failures.ts';
import { recordingSink } from './workbench.ts';

function keptBack() {
  const sink = recordingSink();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const opened: string[] = [];
  const kept = new KeptBack(sink, () => {
    opened.push('asked');
    return promise;
  });
  return { sink, kept, opened, open: resolve, fail: reject };
}

describe('an answer', () => {
  it('goes on in order once it may, and not a byte before', async () => {
    const { sink, kept, opened, open } = keptBack();
    expect([opened, kept.passed]).toEqual([[], undefined]);
    kept.head(200, []);
    expect(kept.write('one')).toBe(false);
    let drained = 0;
    kept.onDrain(() => drained++);
    expect([sink.told, opened, kept.started, drained]).toEqual([[], ['asked'], true, 0]);
    open();
    await kept.passed;
    expect([sink.told, drained]).toEqual([['head 200', 'write one'], 1]);
    expect(kept.write('two')).toBe(true);
    kept.end();
    expect(sink.told).toEqual(['head 200', 'write one', 'write two', 'end']);
  });

  it('that came whole, or ended while it waited, goes on whole', async () => {
    const [whole, ended] = [keptBack(), keptBack()];
    whole.kept.whole(204, [], '');
    ended.kept.head(200, []);
    ended.kept.end();
    for (const { kept, open } of [whole, ended]) {
      open();
      await kept.passed;
    }
    expect([whole.sink.told, ended.sink.told]).toEqual([['204 '], ['head 200', 'end']]);
  });

  it('that may not go on leaves the sink untouched, and says so to whoever sends', async () => {
    const { sink, kept, fail } = keptBack();
    const told: string[] = [];
    kept.onAbandoned(({ code }) => void told.push(code));
    kept.head(200, []);
    kept.write('secret');
    fail(new GatewayError('store_unavailable', 'The disk is full.'));
    expect(await codeOf(kept.passed ?? Promise.resolve())).toBe('store_unavailable');
    kept.write('more');
    kept.end();
    expect([sink.told, told, kept.started]).toEqual([[], ['store_unavailable'], false]);
  });

  it('that breaks off while it waits is never begun', async () => {
    const { sink, kept, open } = keptBack();
    kept.head(200, []);
    kept.write('half');
    kept.abort();
    open();
    await kept.passed;
    expect([sink.told, kept.started]).toEqual([[], false]);
  });

  it('that breaks off before its head asks for nothing', () => {
    const { sink, kept, opened } = keptBack();
    kept.abort();
    expect([sink.told, opened]).toEqual([['abort'], []]);
  });
});
