// Rows that wait in memory and are written together, within a moment: for what no call has to wait for. What could not be
// written is tried again; nothing is written after the end.

const AFTER_MS = 250;

export class WriteBehind {
  readonly #writeAll: () => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  /** `writeAll` writes what waits, and never rejects. False: something could not be written and waits on. */
  constructor(writeAll: () => Promise<boolean>) {
    this.#writeAll = writeAll;
  }

  /** Something waits. */
  schedule(): void {
    if (!this.#closed) this.#timer ??= setTimeout(() => void this.#write(), AFTER_MS).unref();
  }

  /** Writes what still waits, for the last time. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#write();
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeOnce().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeOnce(): Promise<void> {
    if (!(await this.#writeAll())) this.schedule();
  }
}
