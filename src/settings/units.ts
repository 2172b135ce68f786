// Amounts as people write them: durations (`15m`, `1h`, `500ms`) become milliseconds, sizes (`1MiB`) become bytes. A
// bare number is refused, because it has no unit.

import { z } from 'zod';

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES_PER_UNIT: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;
const SIZE = /^(\d{1,9})(B|KiB|MiB|GiB)$/;

interface Bounds {
  readonly least: string;
  readonly most: string;
}

const amountOf = (pattern: RegExp, units: Readonly<Record<string, number>>, text: string): number | undefined => {
  const [, count, unit] = pattern.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  return factor === undefined ? undefined : Number(count) * factor;
};

function amount(
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
  explanation: string,
  { least, most }: Bounds,
) {
  const [low, high] = [amountOf(pattern, units, least) ?? 0, amountOf(pattern, units, most) ?? 0];
  return z
    .string({ error: explanation })
    .regex(pattern, { error: explanation, abort: true })
    .refine(
      (text) => (amountOf(pattern, units, text) ?? -1) >= low && (amountOf(pattern, units, text) ?? -1) <= high,
      `Write a value from ${least} to ${most}.`,
    )
    .transform((text) => amountOf(pattern, units, text) ?? 0);
}

/** A duration in milliseconds. */
export const duration = (bounds: Bounds) =>
  amount(DURATION, MS_PER_UNIT, 'Write a duration with its unit, like 500ms, 90s, 15m or 1h.', bounds);

/** A size in bytes. */
export const size = (bounds: Bounds) =>
  amount(SIZE, BYTES_PER_UNIT, 'Write a size with its unit, like 16KiB or 1MiB.', bounds);
