// Keeps an upstream's 401 back so that the call can be sent once more with a fresh credential. Every other answer goes
// straight through. What is kept back is bounded: a longer answer goes to the agent as it is, and the call is not sent
// again.

import type { HeaderList } from '../domain/headers.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import type { GatewayError } from '../errors.ts';

const KEPT_BYTES = 64 * 1024;

type Piece = Uint8Array | string;

/** A class, because nearly every call makes one. */
export class RefusedAnswer implements ResponseSink {
  readonly #sink: ResponseSink;
  #state: 'open' | 'keeping' | 'kept' | 'passing' = 'open';
  #head: { readonly status: number; readonly headers: HeaderList; readonly whole: boolean } | undefined;
  #pieces: Piece[] = [];
  #size = 0;

  /** Everything but a 401 goes to `sink`. */
  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** True when a whole 401 is kept back. */
  get kept(): boolean {
    return this.#state === 'kept';
  }

  /** Gives the agent the answer that was kept back. */
  letGo(): void {
    if (this.#head === undefined) return;
    const { status, headers, whole } = this.#head;
    if (whole) this.#sink.whole(status, headers, this.#pieces[0] ?? '');
    else {
      this.#release();
      this.#sink.end();
    }
  }

  get started(): boolean {
    return this.#sink.started;
  }

  head(status: number, headers: HeaderList): void {
    if (status === 401) {
      this.#state = 'keeping';
      this.#head = { status, headers, whole: false };
    } else {
      this.#state = 'passing';
      this.#sink.head(status, headers);
    }
  }

  write(piece: Piece): boolean {
    if (this.#state === 'passing') return this.#sink.write(piece);
    this.#pieces.push(piece);
    this.#size += piece.length;
    return this.#size <= KEPT_BYTES || this.#release();
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback);
  }

  whole(status: number, headers: HeaderList, body: Piece): void {
    if (status === 401) {
      this.#state = 'kept';
      this.#head = { status, headers, whole: true };
      this.#pieces = [body];
    } else this.#sink.whole(status, headers, body);
  }

  end(): void {
    if (this.#state === 'passing') this.#sink.end();
    else this.#state = 'kept';
  }

  abort(because?: GatewayError): void {
    this.#pieces = [];
    this.#state = 'passing';
    this.#sink.abort(because);
  }

  /** Writes what was kept so far. False when the agent reads more slowly than that. */
  #release(): boolean {
    this.#state = 'passing';
    if (this.#head !== undefined) this.#sink.head(this.#head.status, this.#head.headers);
    const flows = this.#pieces.map((piece) => this.#sink.write(piece)).every(Boolean);
    this.#pieces = [];
    return flows;
  }
}
