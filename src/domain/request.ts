// One request as the agents' listener accepted it: strictly parsed once, decided on and forwarded in this form only.

import type { UpgradeOffer } from './action.ts';
import type { EpochMs } from './clock.ts';
import type { HeaderList } from './headers.ts';

/** The request body: read at most once, either whole or as a stream. */
export interface RequestBody {
  /** True when the message has neither Content-Length nor Transfer-Encoding, or a length of 0. */
  readonly empty: boolean;
  /** The declared Content-Length, when there was one. */
  readonly length?: number;
  /** True until whoever reads it has been given its last byte; absent where it does not come over a connection. */
  readonly underway?: boolean;
  /**
   * Reads the body to its end. Answers `100 Continue` first when the client asked for it.
   * Throws `payload_too_large` (limit, bytes), `request_timeout` (too slow), `client_closed`.
   */
  buffer(limit: number): Promise<Uint8Array>;
  /** The body as it arrives; back-pressure reaches the client. */
  stream(): AsyncIterable<Uint8Array>;
  /**
   * Shows `see` each piece before it is read; what it throws, the reader gets. Called before the body is read. Absent
   * for bodies that are known.
   */
  watch?(see: (piece: Uint8Array) => void): void;
}

/** The far end of the agents' connection. */
export interface Peer {
  readonly address: string;
  /**
   * DER of the certificates that the client sent, its own first, when the listener asked for them. Nobody has verified
   * them.
   */
  readonly certificates?: readonly Uint8Array[];
}

export interface InboundRequest {
  /** Random UUID: names this request in logs and problem documents. */
  readonly id: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  /** The request target exactly as received, in origin-form. */
  readonly target: string;
  /** First segment of the path: the name under `upstreams`. */
  readonly mount: string;
  /** What stays of the path after the mount, raw, starting with `/`. This exact string is matched and forwarded. */
  readonly path: string;
  /** The raw query without `?`; undefined when the target has none. */
  readonly query?: string;
  /** Present for a request to open a WebSocket. */
  readonly upgrade?: UpgradeOffer;
  readonly headers: HeaderList;
  readonly body: RequestBody;
  readonly peer: Peer;
  /** Calls back once when the client has gone away; returns a function that forgets the callback. */
  onClosed(callback: () => void): () => void;
}
