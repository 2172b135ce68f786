// Keeps an answer back until it may go on: its head and what follows wait for `open`, and the upstream is slowed down
// meanwhile. An answer that may not go on leaves the agent's sink untouched, so the call can be refused in its place.

import type { HeaderList } from '../domain/headers.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { asGatewayError, type GatewayError } from '../errors.ts';

export class KeptBack implements ResponseSink {
  readonly #sink: ResponseSink;
  readonly #open: () => Promise<void>;
  readonly #abandoned = new Set<(because: GatewayError) => void>();
  #state: 'empty' | 'waiting' | 'passing' | 'dropped' = 'empty';
  #queue: (() => unknown)[] = [];
  #drained: (() => void)[] = [];
  #passed: Promise<void> | undefined;

  constructor(sink: ResponseSink, open: () => Promise<void>) {
    this.#sink = sink;
    this.#open = open;
  }

  /** Resolves when nothing is kept back any more. Throws what `open` threw: then the agent has got nothing. */
  get passed(): Promise<void> | undefined {
    return this.#passed;
  }

  /** Calls back when the answer may not go on. Returns a function that forgets the callback. */
  onAbandoned(callback: (because: GatewayError) => void): () => void {
    this.#abandoned.add(callback);
    return () => void this.#abandoned.delete(callback);
  }

  /** To whoever writes, an answer that waits has begun: its failure must be told to `abort`. */
  get started(): boolean {
    return this.#state === 'waiting' || this.#sink.started;
  }

  head(status: number, headers: HeaderList): void {
    this.#write(() => this.#sink.head(status, headers));
    this.#begin();
  }

  whole(status: number, headers: HeaderList, body: Uint8Array | string): void {
    this.#write(() => this.#sink.whole(status, headers, body));
    this.#begin();
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.#state === 'passing') return this.#sink.write(chunk);
    if (this.#state !== 'dropped') this.#queue.push(() => this.#sink.write(chunk));
    return false;
  }

  onDrain(callback: () => void): void {
    if (this.#state === 'passing') this.#sink.onDrain(callback);
    else this.#drained.push(callback);
  }

  end(): void {
    this.#write(() => this.#sink.end());
  }

  abort(because?: GatewayError): void {
    if (this.#state === 'waiting') this.#drop();
    else this.#sink.abort(because);
  }

  #write(job: () => void): void {
    if (this.#state === 'passing') job();
    else if (this.#state !== 'dropped') this.#queue.push(job);
  }

  #begin(): void {
    if (this.#state !== 'empty') return;
    this.#state = 'waiting';
    this.#passed = this.#pass();
    // Whoever sends the call waits for it too, perhaps later.
    this.#passed.catch(() => {});
  }

  async #pass(): Promise<void> {
    try {
      await this.#open();
      if (this.#state === 'dropped') return;
      this.#state = 'passing';
      this.#flush();
    } catch (thrown) {
      this.#drop();
      for (const abandoned of this.#abandoned) abandoned(asGatewayError(thrown));
      throw thrown;
    }
  }

  #flush(): void {
    let flows = true;
    for (const job of this.#queue) flows = job() !== false;
    this.#queue = [];
    for (const callback of this.#drained) {
      if (flows) callback();
      else this.#sink.onDrain(callback);
    }
    this.#drained = [];
  }

  #drop(): void {
    this.#state = 'dropped';
    this.#queue = [];
    this.#drained = [];
  }
}
