// The bench of a test file: open before each test, closed after.

import { afterEach, beforeEach } from 'vitest';
import { Bench, type BenchOptions } from './bench.ts';

/** Gives every test of the file, or of the block, approvals over a new store. */
export function useBench(options: BenchOptions = {}): Bench {
  const bench = new Bench();
  beforeEach(() => bench.open(options));
  afterEach(() => bench.close());
  return bench;
}
