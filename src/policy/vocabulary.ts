// The words that one configuration gives to its conditions: labels of `sensitivity`.

import { Label } from './cel/label.ts';
import type { ClassificationOptions } from './rules.ts';

export class Vocabulary {
  readonly #labels: ReadonlyMap<string, Label>;

  constructor({ sensitivity }: Pick<ClassificationOptions, 'sensitivity'>) {
    this.#labels = new Map(sensitivity.map((text, rank) => [text, new Label(text, rank)]));
  }

  /** Undefined for a text that is no label. */
  label(text: string): Label | undefined {
    return this.#labels.get(text);
  }

  get labels(): readonly string[] {
    return [...this.#labels.keys()];
  }
}
