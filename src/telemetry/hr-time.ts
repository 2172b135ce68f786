// Time as the SDK wants it in finished spans and data points.

import type { HrTime } from '@opentelemetry/api';

/** Milliseconds, with fractions, as seconds and nanoseconds. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
