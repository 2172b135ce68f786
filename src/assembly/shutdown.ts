// Closes what was built, in the opposite order. A part that fails to close does not keep the others from closing.

export class Shutdown {
  readonly #parts: (() => unknown)[] = [];

  /** `close` runs once, when everything that was added later has been closed. */
  add(close: () => unknown): void {
    this.#parts.push(close);
  }

  async run(): Promise<void> {
    for (let close = this.#parts.pop(); close !== undefined; close = this.#parts.pop()) {
      try {
        await close();
      } catch {
        // There is nobody left to tell. What had to be durable was written before.
      }
    }
  }
}
