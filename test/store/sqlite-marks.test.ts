// Marks over a real SQLite file. Pins the kinds "a mark that is lost" and "a mark that ends too early": a mark is there
// until it ends or is lifted, whatever is set, restarted or swept meanwhile.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Mark, MarkCause, MarkKey } from '../../src/domain/taint.ts';
import { codeOf } from '../support/failures.ts';
import { useBench } from '../support/holds/use-bench.ts';

const bench = useBench();

const HOUR = 3_600_000;
const AGENT: MarkKey = { scope: 'agent', key: 'a' };
const PERSON: MarkKey = { scope: 'person', key: 'p' };
const causeOf = (call: string): MarkCause => ({
  ...{ call, at: bench.clock.now(), resources: ['customers'] },
  ...{ agent: 'a', chain: [`person-of-${call}`] },
});
const set = (keys: readonly MarkKey[], taint = 'secret', forMs = 24 * HOUR, call = 'call-1') =>
  bench.store.marks.set(keys, [{ taint, forMs }], causeOf(call));
const on = (...keys: MarkKey[]) => bench.store.marks.on(keys);
const taints = async (...keys: MarkKey[]) => (await on(...keys)).map(({ scope, taint }) => `${scope} ${taint}`).sort();

describe('a mark', () => {
  it('is there with its cause until it ends, and on its own key only', async () => {
    const now = bench.clock.now();
    await set([AGENT, PERSON]);
    expect(await on(AGENT)).toEqual([
      { ...AGENT, taint: 'secret', since: now, until: now + 24 * HOUR, cause: causeOf('call-1') },
    ]);
    expect(await taints(AGENT, PERSON)).toEqual(['agent secret', 'person secret']);
    expect(await on({ scope: 'agent', key: 'p' }, { scope: 'root', key: 'a' })).toEqual([]);
    bench.clock.advance(24 * HOUR - 1);
    expect(await taints(AGENT)).toEqual(['agent secret']);
    bench.clock.advance(1);
    expect(await taints(AGENT)).toEqual([]);
  });

  it('is there after a restart', async () => {
    await set([AGENT]);
    await bench.restart();
    expect(await taints(AGENT)).toEqual(['agent secret']);
  });

  it('is not written again while more than half of its time is left', async () => {
    const [first] = await set([AGENT]);
    bench.clock.advance(12 * HOUR - 1);
    expect(await set([AGENT], 'secret', 24 * HOUR, 'call-2')).toEqual([]);
    expect(await on(AGENT)).toEqual([first]);
    bench.clock.advance(1);
    const [renewed] = await set([AGENT], 'secret', 24 * HOUR, 'call-3');
    expect(renewed).toMatchObject({
      since: first?.since,
      until: bench.clock.now() + 24 * HOUR,
      // Who was in the chain of any of its calls stays known: none of them may lift it.
      cause: { call: 'call-3', chain: ['person-of-call-3', 'person-of-call-1'] },
    });
  });

  it('begins anew when it had ended', async () => {
    await set([AGENT]);
    bench.clock.advance(25 * HOUR);
    const [again] = await set([AGENT]);
    expect(again).toMatchObject({ since: bench.clock.now() });
  });

  it('of a shorter kind shortens nothing', async () => {
    const [first] = await set([AGENT], 'secret', 24 * HOUR);
    bench.clock.advance(23 * HOUR);
    await set([AGENT], 'secret', 30 * 60_000);
    expect((await on(AGENT))[0]?.until).toBe(first?.until);
  });

  it('is lifted alone, as of now, and can be set again', async () => {
    await set([AGENT, PERSON]);
    await set([AGENT], 'other');
    expect(await bench.store.marks.lift(AGENT, 'secret')).toMatchObject({ ...AGENT, taint: 'secret' });
    expect(await bench.store.marks.lift(AGENT, 'secret')).toBeUndefined();
    expect(await taints(AGENT, PERSON)).toEqual(['agent other', 'person secret']);
    await set([AGENT]);
    expect(await taints(AGENT)).toEqual(['agent other', 'agent secret']);
  });

  it('is swept when it has ended, and not before', async () => {
    await set([AGENT], 'short', HOUR);
    await set([AGENT], 'long', 3 * HOUR);
    const before = { holds: 0, bodies: 0, tasks: 0 };
    expect(await bench.store.retention.sweep(before)).toMatchObject({ marks: 0 });
    bench.clock.advance(2 * HOUR);
    expect(await bench.store.retention.sweep(before)).toMatchObject({ marks: 1 });
    expect(await taints(AGENT)).toEqual(['agent long']);
  });

  it('that cannot be read or written is store_unavailable, and not absent', async () => {
    await bench.store.close();
    expect(await codeOf(on(AGENT))).toBe('store_unavailable');
    expect(await codeOf(set([AGENT]))).toBe('store_unavailable');
  });
});

// Property: for any sequence of settings, lifts, waits and restarts, a mark that is in force stays in force until its
// end, which never moves forward, unless it is lifted.
describe('taint is monotone', () => {
  const SEEDS = Array.from({ length: 25 }, (_, n) => n);
  const KEYS: readonly MarkKey[] = [AGENT, PERSON, { scope: 'root', key: 'r' }, { scope: 'resource', key: 'w' }];
  const KINDS = [
    { taint: 'secret', forMs: 24 * HOUR },
    { taint: 'secret', forMs: HOUR },
    { taint: 'other', forMs: 5 * HOUR },
  ];

  /** Numbers that depend on the seed alone. */
  function numbers(seed: number): (below: number) => number {
    let state = `seed ${seed}`;
    return (below) => {
      state = createHash('sha256').update(state).digest('hex');
      return Number.parseInt(state.slice(0, 8), 16) % below;
    };
  }
  const pick = <T>(next: (below: number) => number, from: readonly T[]): T => from[next(from.length)] as T;
  const placeOf = ({ scope, key, taint }: Mark): string => `${scope} ${key} ${taint}`;

  it.for(SEEDS)('for the steps of seed %i', async (seed) => {
    const next = numbers(seed);
    let before = new Map<string, Mark>();
    for (let step = 0; step < 60; step++) {
      let lifted: string | undefined;
      switch (next(6)) {
        case 0: {
          const mark = await bench.store.marks.lift(pick(next, KEYS), pick(next, KINDS).taint);
          lifted = mark && placeOf(mark);
          break;
        }
        case 1:
          bench.clock.advance(next(6 * HOUR));
          break;
        case 2:
          await (next(4) === 0 ? bench.restart() : bench.store.retention.sweep({ holds: 0, bodies: 0, tasks: 0 }));
          break;
        default: {
          const keys = KEYS.filter(() => next(2) === 0);
          const kind = pick(next, KINDS);
          await bench.store.marks.set(keys, [kind], causeOf(`call-${step}`));
          const now = bench.clock.now();
          for (const mark of await on(...keys))
            if (mark.taint === kind.taint) expect(mark.until - now).toBeGreaterThan(kind.forMs / 2);
        }
      }
      const now = bench.clock.now();
      const after = new Map((await on(...KEYS)).map((mark) => [placeOf(mark), mark]));
      for (const [place, mark] of before)
        if (place !== lifted && mark.until > now) {
          expect([place, after.get(place)?.until ?? 0]).toEqual([place, expect.any(Number)]);
          expect(after.get(place)?.until ?? 0).toBeGreaterThanOrEqual(mark.until);
          expect(after.get(place)?.since).toBe(mark.since);
        }
      if (lifted !== undefined) expect(after.has(lifted)).toBe(false);
      before = after;
    }
  });
});
