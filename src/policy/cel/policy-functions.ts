// The functions that the configuration gives meaning to: they compare labels as `sensitivity` orders them.

import type { CallVariables } from '../variables/variables.ts';
import { Label } from './label.ts';
import { FAILED, type Value } from './values.ts';

interface PolicyFunction {
  readonly name: string;
  /** As CEL writes it. */
  readonly signature: string;
  /** As docs/policy.md gives it. */
  readonly meaning: string;
  call(operands: readonly Value[], variables: CallVariables): Value;
}

export const POLICY_FUNCTIONS: readonly PolicyFunction[] = [
  {
    name: 'atLeast',
    signature: 'atLeast(Label, string): bool',
    meaning: 'whether a label stands at this place of `sensitivity`, or higher',
    call([label, least], { vocabulary }) {
      const floor = typeof least === 'string' ? vocabulary.label(least) : undefined;
      return label instanceof Label && floor !== undefined ? label.rank >= floor.rank : FAILED;
    },
  },
];
