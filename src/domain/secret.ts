// A secret in memory: it can be used, and it refuses to be seen.
// Every path by which values usually leak (template strings, JSON, console, util.inspect, structured logs)
// yields `[secret]`. Only `reveal()` gives the text, so a search for that word lists every use.

import { inspect } from 'node:util';

const MASK = '[secret]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself. Call it where the bytes leave for the system that needs them, nowhere else. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/**
 * Where a secret comes from. `read` is called at each use, so that a rotated file is picked up without a restart;
 * it throws `credential_unavailable` when the variable or file is missing or empty.
 */
export interface SecretSource {
  readonly origin: string;
  read(): Secret;
}
