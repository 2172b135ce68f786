// What a protocol adds to the way of a call: what is known of the call beyond its bytes, how its agent is kept while
// people decide, and what becomes of the answer. Implemented by mcp/; plain HTTP calls have none.

import type { Action } from './action.ts';
import type { Call } from './call.ts';
import type { HeaderList } from './headers.ts';
import type { Hold } from './hold.ts';
import type { Principal } from './principal.ts';
import type { Answered, Armed, Decided, FailedCall, Reached, Recognised } from './stages.ts';
import type { ResponseSink, Sent } from './upstream.ts';

/** How one held call waits. */
export interface HoldWait {
  /** Longest wait, ms. */
  readonly waitMs: number;
  /** Whether the agent's going away cancels the hold. */
  readonly cancelsOnClose: boolean;
  /** The hold is durable, and the wait begins. */
  begin(hold: Hold): void;
  /** The wait is over, however it ended. */
  end(): void;
}

/**
 * A held call that its agent has come back for by another message: it goes on as if the held bytes had arrived again.
 */
export interface Resumed {
  /** As it was held; judged anew. */
  readonly action: Action;
  readonly hold: Hold;
}

/** How an answer goes back. */
export interface SendPlan {
  /** True when the agent's going away must not break the call off: nobody waits for it on this connection. */
  readonly detached: boolean;
  /** What the upstream's answer goes into, in front of `sink`. */
  through(sink: ResponseSink): ResponseSink;
}

/** A refusal in the protocol's own form: written already, or still to be written. */
export type ProtocolRefusal =
  | { readonly status: number; readonly written: true }
  | { readonly status: number; readonly written: false; readonly contentType: string; readonly body: string };

export interface ProtocolHandler {
  /**
   * Fields of the gateway's own on what goes upstream, in place of the agent's; an empty value only takes the agent's
   * away.
   */
  requestHeaders(armed: Armed): HeaderList;
  /**
   * Called once, when the message has been read. For a message about a hold of the caller's: the held call to go on
   * with, or `answered` when the answer has been given. Undefined for every other message. Throws `header_mismatch`,
   * `hold_not_found`, `hold_closed`.
   */
  onMessage(recognised: Recognised, action: Action): Promise<Resumed | 'answered'> | undefined;
  /** Adds what is known of the thing that is called. Runs before each decision, at the door and again at release. */
  enrich(action: Action, principal: Principal): Action;
  /**
   * Called once for a call that is to be held. May put another sink in place of the call's. Throws `bad_rpc`,
   * `arguments_invalid`, `store_unavailable`.
   */
  onHold(decided: Decided, longestWaitMs: number): HoldWait | Promise<HoldWait>;
  /**
   * Called when the call is about to be sent. May put another sink in place of the call's. A handler that keeps the
   * answer calls `handOut` before it gives the answer to a later call.
   */
  beforeSend(armed: Armed, handOut: HandOut | undefined): Promise<SendPlan>;
  /** Called when the upstream has answered the call, before it is settled. */
  afterResponse(answered: Answered): Promise<void>;
  /** How a refused call is answered. Undefined where the protocol has no form for it: then HTTP's is used. */
  refusal(failed: Reached & FailedCall): ProtocolRefusal | undefined;
}

/** Marks the readers of a kept answer, by the call that asks for it. Throws `store_unavailable`. */
export type HandOut = (by: Call) => Promise<void>;

/** Answers in place of an upstream. Nothing that it answers can be held. */
export interface AnsweringHandler extends Omit<ProtocolHandler, 'onHold'> {
  /** Throws what `Forwarder.send` throws. */
  respond(armed: Armed, sink: ResponseSink): Promise<Sent>;
}
