// Amounts that meters add up, exactly: whole numbers of billionths. So it does not matter in which order amounts are
// added and taken back, and 0.1 + 0.2 is 0.3. What is finer than a billionth is rounded up: a sum is never too small.

const DIGITS = 9;

/** The amount in billionths; undefined for what is negative or not finite. */
export function unitsOf(amount: number | bigint): bigint | undefined {
  if (amount < 0) return undefined;
  if (typeof amount === 'bigint') return amount * 10n ** BigInt(DIGITS);
  if (!Number.isFinite(amount)) return undefined;
  // The shortest decimal that reads as this number: what stood in the call.
  const [mantissa = '', exponent = '0'] = String(amount).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const shift = DIGITS + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (digits + divisor - 1n) / divisor;
}

/** The least number that is not below the sum; undefined for a sum beyond all numbers. */
export function amountOf(units: bigint): number | undefined {
  const nearest = Number(`${units}e-${DIGITS}`);
  const exact = unitsOf(nearest);
  if (exact === undefined) return undefined;
  const amount = exact < units ? nextUp(nearest) : nearest;
  return Number.isFinite(amount) ? amount : undefined;
}

/** The next larger double of a number that is not negative (IEEE 754-2019 section 5.3.1). */
function nextUp(value: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + 1n);
  return bits.getFloat64(0);
}
