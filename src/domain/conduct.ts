// What a protocol adds to the way of a call: what is known of the call beyond its bytes, how its agent is kept while people decide,
// and what becomes of the answer. Implemented by mcp/; plain HTTP calls have none.

import type { Action } from './action.ts';
import type { HeaderList } from './headers.ts';
import type { Hold } from './hold.ts';
import type { Principal } from './principal.ts';
import type { Armed, Call, Decided } from './stages.ts';
import type { ResponseSink, Sent } from './upstream.ts';

/** How one held call waits. */
export interface Vigil {
  /** Longest wait, ms. */
  readonly waitMs: number;
  /** Whether the agent's going away cancels the hold. */
  readonly cancelsOnClose: boolean;
  /** The hold is durable, and the wait begins. */
  begin(hold: Hold): void;
  /** The wait is over, however it ended. */
  end(): void;
}

export interface Conduct {
  /** Fields of the gateway's own on what goes upstream, in place of the agent's; an empty value only takes the agent's away. */
  requestHeaders(armed: Armed): HeaderList;
  /** Adds what is known of the thing that is called. Runs before each decision, at the door and again at release. */
  examine(action: Action, principal: Principal): Action;
  /** Called once for a call that is to be held. May put another sink in place of the call's. Throws `bad_rpc`, `arguments_invalid`. */
  keep(decided: Decided, longestWaitMs: number): Vigil;
  /** Called when the call is about to be sent: gives the sink that the upstream's answer goes into. */
  depart(armed: Armed, sink: ResponseSink): Promise<ResponseSink>;
  /** Answers in place of an upstream, where a mount has none of its own. Throws what `Forwarder.send` throws. */
  serve?(armed: Armed, sink: ResponseSink): Promise<Sent>;
  /** Called when the upstream has answered the call, before it is settled. */
  answered(call: Call): Promise<void>;
}
