// Meters over the real steps, policy and store: no order of calls and answers gets more sent than the limit says. Kind: a
// sum that is compared before it is taken, or that forgets.

import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { principalOf } from '../support/holds/values.ts';
import { it, type Workbench } from './workbench.ts';

const WINDOW_MS = 60_000;
const LIMIT = 100;

const metered = (work: Workbench, more: { durable?: 'strict' } = {}): void => {
  const counts = { match: { path: '/transfers' }, value: 'args.amount' };
  work.meters = { paid: { ...counts, per: ['agent'], windowMs: WINDOW_MS, ...more } };
  work.rules = [
    {
      id: 'pay',
      match: { upstream: 'ledger', methods: ['POST'], path: '/transfers' },
      when: `meter.paid <= ${LIMIT}`,
      decide: 'allow',
    },
  ];
};

const pay = (work: Workbench, amount: unknown) => {
  const opened = work.call({ method: 'POST', path: '/transfers', body: { amount } });
  return { opened, run: work.run(opened) };
};

interface SentAmount {
  readonly at: number;
  readonly amount: number;
}

/** The most that was sent in any window that ends with a call. */
const most = (sent: readonly SentAmount[]): number =>
  Math.max(
    0,
    ...sent.map(({ at }) =>
      sent.filter((other) => other.at > at - WINDOW_MS && other.at <= at).reduce((sum, { amount }) => sum + amount, 0),
    ),
  );

const step = fc.record({
  amount: fc.oneof(fc.integer({ min: 0, max: 120 }), fc.constantFrom(-5, '7', null)),
  /** Of the clock, before the call. */
  advanceMs: fc.constantFrom(0, 0, 1, 500, 20_000, 61_000),
  /** Whether the next call waits for the end of this one. */
  alone: fc.boolean(),
  /** Turns of the event loop until the upstream answers, and its status. */
  turns: fc.integer({ min: 0, max: 4 }),
  status: fc.constantFrom(200, 200, 404, 500),
});

describe('calls at the same time', () => {
  it('never send more within a window than their rule allows', async ({ work }) => {
    metered(work);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        work.caller = { ...work.caller, principal: principalOf({ id: `agent-${runs}`, agentKey: `agent-${runs++}` }) };
        const sent: SentAmount[] = [];
        const answers = steps.map(({ turns, status }) => ({ turns, status }));
        work.upstream = async ({ action }) => {
          const { amount } = action.args as { amount: number };
          sent.push({ at: work.bench.clock.now(), amount });
          const { turns, status } = answers.pop() ?? { turns: 0, status: 200 };
          for (let turn = 0; turn < turns; turn++) await new Promise<void>((next) => setImmediate(next));
          return { status, complete: true };
        };
        const running: Promise<void>[] = [];
        for (const { amount, advanceMs, alone } of steps) {
          work.bench.clock.advance(advanceMs);
          const { run } = pay(work, amount);
          running.push(run);
          if (alone) await run;
        }
        await Promise.all(running);
        expect(most(sent)).toBeLessThanOrEqual(LIMIT);
        expect(sent.every(({ amount }) => typeof amount === 'number' && amount >= 0)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('use the limit up when they come one after the other', async ({ work }) => {
    metered(work);
    for (const amount of [60, 50, 40, 1]) await pay(work, amount).run;
    expect(work.sent.map(({ action }) => action.args)).toEqual([{ amount: 60 }, { amount: 40 }]);
  });
});

describe('a count', () => {
  it('ends with its window, and not before', async ({ work }) => {
    metered(work, { durable: 'strict' });
    await pay(work, 100).run;
    work.bench.clock.advance(WINDOW_MS - 1);
    await pay(work, 1).run;
    expect(work.sent).toHaveLength(1);
    // A bucket is a sixtieth of the window.
    work.bench.clock.advance(1 + WINDOW_MS / 60);
    await pay(work, 1).run;
    expect(work.sent).toHaveLength(2);
  });

  it('of a call that never went out is given back', async ({ work }) => {
    metered(work);
    work.mint = () => Promise.reject(new Error('the issuer is away'));
    await pay(work, 100).run;
    expect(work.sent).toHaveLength(0);
    work.credential = undefined;
    await pay(work, 100).run;
    expect(work.sent).toHaveLength(1);
  });
});
