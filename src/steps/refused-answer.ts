// Keeps back an upstream's 401 so that the call can be sent a second time with a fresh credential; every other answer goes straight through.
// What is kept back is bounded: a longer answer goes to the agent as it is, and there is no second time.

import type { HeaderList } from '../domain/headers.ts';
import type { ResponseSink } from '../domain/upstream.ts';

const KEPT_BYTES = 64 * 1024;

export interface RefusedAnswer extends ResponseSink {
  /** True when a whole 401 is kept back. */
  readonly kept: boolean;
  /** Lets it go to the agent after all. */
  letGo(): void;
}

type Piece = Uint8Array | string;

export function keepRefusal(sink: ResponseSink): RefusedAnswer {
  let state: 'open' | 'keeping' | 'kept' | 'passing' = 'open';
  let head: { readonly status: number; readonly headers: HeaderList; readonly whole: boolean } | undefined;
  let pieces: Piece[] = [];
  let size = 0;

  function write(piece: Piece): boolean {
    if (state === 'passing') return sink.write(piece);
    pieces.push(piece);
    size += piece.length;
    if (size <= KEPT_BYTES) return true;
    return release();
  }

  /** Writes what was kept so far; false when the agent is slower than that. */
  function release(): boolean {
    state = 'passing';
    if (head !== undefined) sink.head(head.status, head.headers);
    const flows = pieces.map((piece) => sink.write(piece)).every(Boolean);
    pieces = [];
    return flows;
  }

  return {
    head(status, headers) {
      if (status !== 401) {
        state = 'passing';
        return sink.head(status, headers);
      }
      state = 'keeping';
      head = { status, headers, whole: false };
    },
    write,
    onDrain: (callback) => sink.onDrain(callback),
    whole(status, headers, body) {
      if (status !== 401) return sink.whole(status, headers, body);
      state = 'kept';
      head = { status, headers, whole: true };
      pieces = [body];
    },
    end() {
      if (state === 'passing') return sink.end();
      state = 'kept';
    },
    abort() {
      pieces = [];
      state = 'passing';
      sink.abort();
    },
    get started() {
      return sink.started;
    },
    get kept() {
      return state === 'kept';
    },
    letGo() {
      if (head === undefined) return;
      if (head.whole) return sink.whole(head.status, head.headers, pieces[0] ?? '');
      release();
      sink.end();
    },
  };
}
