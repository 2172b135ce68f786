// A sink in front of another one. Whoever wraps a sink writes down only the methods that behave differently; all others
// go straight through.

import type { GatewayError } from '../errors.ts';
import type { HeaderList } from './headers.ts';
import type { ResponseSink } from './upstream.ts';

type Overrides = Partial<ResponseSink>;

export function wrapSink(inner: ResponseSink, overrides: Overrides): ResponseSink {
  return new WrappedSink(inner, overrides);
}

/** A class, because most calls make one: methods on the prototype cost a call nothing. */
class WrappedSink implements ResponseSink {
  readonly #inner: ResponseSink;
  readonly #overrides: Overrides;

  constructor(inner: ResponseSink, overrides: Overrides) {
    this.#inner = inner;
    this.#overrides = overrides;
  }

  get started(): boolean {
    return this.#overrides.started ?? this.#inner.started;
  }

  head(status: number, headers: HeaderList): void {
    if (this.#overrides.head === undefined) this.#inner.head(status, headers);
    else this.#overrides.head(status, headers);
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#overrides.write === undefined ? this.#inner.write(chunk) : this.#overrides.write(chunk);
  }

  onDrain(callback: () => void): void {
    if (this.#overrides.onDrain === undefined) this.#inner.onDrain(callback);
    else this.#overrides.onDrain(callback);
  }

  whole(status: number, headers: HeaderList, body: Uint8Array | string): void {
    if (this.#overrides.whole === undefined) this.#inner.whole(status, headers, body);
    else this.#overrides.whole(status, headers, body);
  }

  end(): void {
    if (this.#overrides.end === undefined) this.#inner.end();
    else this.#overrides.end();
  }

  abort(because?: GatewayError): void {
    if (this.#overrides.abort === undefined) this.#inner.abort(because);
    else this.#overrides.abort(because);
  }
}
