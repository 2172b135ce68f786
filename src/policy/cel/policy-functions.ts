// The functions that the configuration gives meaning to: they compare labels as `sensitivity` orders them, and read
// destinations as `destinations` trusts them.

import type { CallVariables } from '../variables/variables.ts';
import type { Budget } from './budget.ts';
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

/** The text is searched several times, and its hosts are parsed. */
function chargeSearch(text: string, budget: Budget): void {
  budget.charge(200);
  budget.chargeText(text.length * 40);
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
  {
    name: 'host',
    signature: 'host(string): string',
    meaning: 'the host that a URL, an address or a bare name has, in normal form; fails where it has none, or several',
    call([text], { vocabulary, budget }) {
      if (typeof text !== 'string') return FAILED;
      chargeSearch(text, budget);
      const hosts = new Set(vocabulary.placesIn(text, 'host').map((place) => place.host));
      const [host] = hosts;
      return hosts.size === 1 && host !== undefined ? host : FAILED;
    },
  },
  {
    name: 'trust',
    signature: 'trust(string): string',
    meaning: 'how far what a text names is trusted: a name under `destinations`, or `external`',
    call([text], { vocabulary, budget }) {
      if (typeof text !== 'string') return FAILED;
      chargeSearch(text, budget);
      return vocabulary.trust.least(vocabulary.placesIn(text, 'recipient').map(({ trust }) => trust));
    },
  },
];
