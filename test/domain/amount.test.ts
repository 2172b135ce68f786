// Sums of amounts: exact in decimals, the same in every order, and never below the true sum. Kind: rounding that an agent
// can use to stay under a limit.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { amountOf, unitsOf } from '../../src/domain/amount.ts';

const amounts = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });

describe('an amount', () => {
  it.each([-1, -0.1, -5e-324, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1n])(
    'of %s is none',
    (amount) => expect(unitsOf(amount)).toBeUndefined(),
  );

  it.each([
    [0, 0n],
    [-0, 0n],
    [1n, 1_000_000_000n],
    [4999.5, 4_999_500_000_000n],
    [1e21, 10n ** 30n],
    // Finer than a billionth: rounded up.
    [1e-10, 1n],
    [5e-324, 1n],
  ])('of %s is %s billionths', (amount, units) => expect(unitsOf(amount)).toBe(units));

  it('is the same number again, unless it is finer than a billionth', () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        const again = amountOf(unitsOf(amount) as bigint) as number;
        expect(again).toBeGreaterThanOrEqual(amount);
        if (amount >= 1e6) expect(again).toBe(amount);
      }),
    );
  });
});

describe('a sum', () => {
  it('is exact in decimals', () => {
    const tenth = unitsOf(0.1) as bigint;
    expect(amountOf(tenth + (unitsOf(0.2) as bigint))).toBe(0.3);
    expect(amountOf(100n * (unitsOf(19.99) as bigint))).toBe(1999);
  });

  it('is what it was when a large amount was added and taken back', () => {
    fc.assert(
      fc.property(amounts, amounts, (small, large) => {
        const sum = (unitsOf(large) as bigint) + (unitsOf(small) as bigint) - (unitsOf(large) as bigint);
        expect(sum).toBe(unitsOf(small));
      }),
    );
  });

  it('beyond all numbers is none', () => {
    expect(amountOf(2n * (unitsOf(Number.MAX_VALUE) as bigint))).toBeUndefined();
  });

  it('read as a number is never below itself', () => {
    fc.assert(
      fc.property(fc.array(amounts, { maxLength: 20 }), (parts) => {
        const units = parts.reduce((sum, part) => sum + (unitsOf(part) as bigint), 0n);
        const read = amountOf(units);
        if (read !== undefined) expect((unitsOf(read) as bigint) >= units).toBe(true);
      }),
    );
  });
});
