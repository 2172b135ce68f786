// Runs a target: rounds of inputs under seeds that follow one another, and the inputs that were found before.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import type { Target } from './target.ts';

export interface Finding {
  /** The smallest input that shows it. */
  readonly input: string;
  readonly seed: number;
  readonly fault: string;
}

/** One round; undefined when nothing was found. */
export function runRound(
  target: Target,
  seed: number,
  inputs: number,
  check: (input: string) => void = target.check,
): Finding | undefined {
  const { failed, counterexample, errorInstance } = fc.check(fc.property(target.inputs, check), {
    seed,
    numRuns: inputs,
  });
  if (!failed || counterexample === null) return undefined;
  return {
    input: counterexample[0],
    seed,
    fault: errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
  };
}

const fileOf = (target: Target): string => fileURLToPath(new URL(`vectors/${target.name}.json`, import.meta.url));

/** The inputs that were found before and are mended. */
export function vectorsOf(target: Target): readonly string[] {
  return existsSync(fileOf(target)) ? (JSON.parse(readFileSync(fileOf(target), 'utf8')) as string[]) : [];
}

export function keepVector(target: Target, input: string): void {
  mkdirSync(dirname(fileOf(target)), { recursive: true });
  writeFileSync(fileOf(target), `${JSON.stringify([...new Set([...vectorsOf(target), input])], null, 2)}\n`);
}
