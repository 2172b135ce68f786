// The gateway's time. Kind: a deadline that is judged by a clock which somebody sets.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSteadyClock } from '../../src/domain/steady-clock.ts';

function open(system = 1_000_000) {
  const clocks = { system, monotonic: 5 };
  const clock = createSteadyClock(
    () => clocks.system,
    () => clocks.monotonic,
  );
  const pass = (ms: number) => {
    clocks.system += ms;
    clocks.monotonic += ms;
  };
  return { clocks, clock, pass };
}

it('goes on at the pace of the monotonic clock when the system’s clock is set back, and says how far that is behind', () => {
  const { clocks, clock, pass } = open();
  clocks.system -= 60_000;
  expect([clock.now(), clock.behindMs()]).toEqual([1_000_000, 60_000]);
  pass(5_000);
  expect([clock.now(), clock.behindMs()]).toEqual([1_005_000, 60_000]);
  clocks.system += 60_000;
  expect([clock.now(), clock.behindMs()]).toEqual([1_005_000, 0]);
});

it('follows the system’s clock forward, and does not come back from there', () => {
  const { clocks, clock, pass } = open();
  clocks.system += 3_600_000;
  expect(clock.now()).toBe(4_600_000);
  clocks.system -= 3_600_000;
  pass(10);
  expect([clock.now(), clock.behindMs()]).toEqual([4_600_010, 3_600_000]);
});

it('begins no earlier than what was seen before', () => {
  const { clock, pass } = open();
  clock.atLeast(2_000_000);
  pass(1);
  expect([clock.now(), clock.behindMs()]).toEqual([2_000_001, 1_000_000]);
  clock.atLeast(5);
  expect(clock.now()).toBe(2_000_001);
});

it('gives whole milliseconds that never fall, and never fewer than have passed, whatever happens to the clocks', () => {
  const step = fc.record({
    passed: fc.double({ min: 0, max: 10_000, noNaN: true }),
    set: fc.integer({ min: -100_000, max: 100_000 }),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const { clocks, clock } = open();
      let before = clock.now();
      for (const { passed, set } of steps) {
        clocks.monotonic += passed;
        clocks.system += Math.round(passed) + set;
        const now = clock.now();
        expect(Number.isInteger(now)).toBe(true);
        expect(now).toBeGreaterThanOrEqual(before + Math.floor(passed) - 1);
        expect(now).toBeGreaterThanOrEqual(clocks.system);
        before = now;
      }
    }),
  );
});
