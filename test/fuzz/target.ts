// What a fuzz target is: texts that a grammar makes, and what must be true of each. An oracle says more than "it does
// not throw": what was accepted is what a second reader reads, comes out as it went in, or costs no more than its
// length.

import type fc from 'fast-check';
import { GatewayError } from '../../src/errors.ts';

export interface Target {
  readonly name: string;
  /** What it drives, in a few words. */
  readonly drives: string;
  readonly inputs: fc.Arbitrary<string>;
  /** The gateway's own reading alone, as a call has it: this is what may not take long. Throws as the parser does. */
  read(input: string): void;
  /** Throws when something is not as it must be. A refusal of the parser's is no fault. */
  check(input: string): void;
}

/** What the parser makes of it, or undefined when it refuses. Whatever it throws besides refusals is a finding. */
export function accepted<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof GatewayError) return undefined;
    throw thrown;
  }
}

export function demand(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new Error(sentence);
}
