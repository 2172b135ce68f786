// The words that one configuration gives to its conditions: labels of `sensitivity`, names of trust, and what they say of a
// call.

import type { Destination } from '../domain/classification.ts';
import { Label } from './cel/label.ts';
import { DestinationFinder, targetsIn } from './destinations/destinations.ts';
import { TrustTable } from './destinations/trust-table.ts';
import type { ClassificationOptions, PolicyOptions } from './rules.ts';

export class Vocabulary {
  readonly trust: TrustTable;
  readonly #labels: ReadonlyMap<string, Label>;
  readonly destinations: DestinationFinder;

  constructor(options: ClassificationOptions & Pick<PolicyOptions, 'upstreams'>) {
    this.trust = new TrustTable(options.destinations);
    this.#labels = new Map(options.sensitivity.map((text, rank) => [text, new Label(text, rank)]));
    this.destinations = new DestinationFinder(options, this);
  }

  /** Undefined for a text that is no label. */
  label(text: string): Label | undefined {
    return this.#labels.get(text);
  }

  /** What a text names as a place to send to. */
  placesIn(text: string, naming: 'host' | 'recipient'): readonly Destination[] {
    return targetsIn(text, naming, this.trust);
  }
}
