// Sending a cleared call, and what comes back.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { GatewayError } from '../errors.ts';
import type { Action } from './action.ts';
import type { Credential } from './credential.ts';
import type { HeaderList } from './headers.ts';
import type { InboundRequest } from './request.ts';

/** Where an answer goes. Implemented by server.ts over the agent's connection. */
export interface ResponseSink {
  /** Writes status and fields. Returns nothing; call once. */
  head(status: number, headers: HeaderList): void;
  /** Writes a piece of the body. False asks for a pause until `onDrain`. */
  write(chunk: Uint8Array | string): boolean;
  onDrain(callback: () => void): void;
  /** Writes status, fields and the whole body at once: the cheap way for small answers. A text holds ASCII only. */
  whole(status: number, headers: HeaderList, body: Uint8Array | string): void;
  end(): void;
  /**
   * The end of an answer that broke off half-way: cuts the connection. Given why, a sink of a protocol that can still
   * say so may say it instead, once. Without a reason the connection is cut in any case.
   */
  abort(because?: GatewayError): void;
  readonly started: boolean;
}

export interface Outgoing {
  readonly request: InboundRequest;
  readonly action: Action;
  readonly credential?: Credential;
  /** Held calls forward only the fields that the approval bound. */
  readonly boundHeadersOnly: boolean;
  /**
   * Fields of the gateway's own, for example traceparent where the upstream opts in, and on the answer
   * `countersign-hold`. On the request, an empty value only takes the agent's field away.
   */
  readonly requestHeaders: HeaderList;
  readonly responseHeaders: HeaderList;
  /** Whether the answer has to be read on its way: then a content coding is taken off. */
  readonly mustRead?: boolean;
  /** What has to be done before the upstream's answer to a WebSocket handshake goes on. What it throws refuses it. */
  beforeOpening?(): Promise<void>;
  /**
   * Calls back when the answer may not go on, and the exchange has to end. Returns a function that forgets the
   * callback.
   */
  onAbandoned?(callback: (because: GatewayError) => void): () => void;
  /** Called before a stream of events begins. What it throws ends the exchange before the agent has a byte. */
  mayStream?(): void;
}

export interface Sent {
  readonly status: number;
  /** True when the answer reached its end. */
  readonly complete: boolean;
}

export interface Forwarder {
  /**
   * Sends the call once and streams the answer into the sink. Resolves when the answer has ended. Throws
   * `upstream_unreachable`, `upstream_timeout`, `upstream_protocol`, `upstream_tls`, `upstream_address_refused` before
   * the head is written, `upstream_aborted` after it, `client_closed` when the agent went away. Never retries. Every
   * error says whether a byte of the call can have gone out: its `executed` is `no` or `maybe`.
   */
  send(outgoing: Outgoing, sink: ResponseSink): Promise<Sent>;
  close(): Promise<void>;
}

/** The bare connection of a request to upgrade. Until it is released, the agent's leaving closes it. */
export interface Upgrade {
  readonly incoming: IncomingMessage;
  readonly socket: Socket;
  /** Gives the socket to the caller, and the bytes that followed the request's head so far. */
  release(): Buffer;
}

export interface WebSocketPass {
  /**
   * Connects the agent's socket with the upstream. Resolves with status 101 when both have closed. Rejects before a
   * byte was written to the socket, which then is still the caller's to answer on: `upgrade_refused`, the codes of
   * `Forwarder.send` with their `executed`, and `upstream_protocol` for an upstream that does not switch.
   */
  pass(upgrade: Upgrade, outgoing: Outgoing): Promise<Sent>;
  /** Cuts every connection that is passed. */
  close(): void;
}
