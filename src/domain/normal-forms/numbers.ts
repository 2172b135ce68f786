// Numbers as JSON writes them. Servers read them as IEEE doubles, as 64-bit integers or as decimals; only a number that
// a double holds with all of its digits is the same to each of them. So no `1e400`, no integer beyond 2^53 - 1, and no
// `-0`, which would be shown as 0 (RFC 7493 section 2.2).

/** Whether a literal of JSON's grammar means the same number after it has been a double. Linear in the literal. */
export function survivesAsDouble(literal: string): boolean {
  const value = Number(literal);
  if (!Number.isFinite(value) || Object.is(value, -0)) return false;
  if (/^-?\d+$/.test(literal) && !Number.isSafeInteger(value)) return false;
  const printed = String(value);
  return printed === literal || decimal(printed) === decimal(literal);
}

/** A decimal literal as `digits` × 10^`exponent` without zeros at either end: equal for equal numbers. */
function decimal(literal: string): string {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = trimZeros(digits);
  if (significant === '') return '0';
  return `${significant}e${Number(exponent) - fraction.length + (digits.length - significant.length)}`;
}

/** Without the zeros at the end. A loop, because /0+$/ takes quadratic time on long runs of zeros. */
function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}
