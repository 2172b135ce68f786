// A mounted upstream, as far as a call's way needs to know it.

import type { Action, BodyNeed, Protocol } from './action.ts';
import type { LeftBehind } from './deciding-fields.ts';
import type { HeaderList } from './headers.ts';
import type { Principal } from './principal.ts';
import type { InboundRequest } from './request.ts';

export interface Mount {
  readonly name: string;
  readonly protocol: Protocol;
  /** Where its calls go, as configured: one that has moved since is another destination. */
  readonly url: string;
  readonly webSocket: boolean;
  /** MCP: origins of web pages that may call. */
  readonly allowedOrigins?: readonly string[];
  /**
   * How many of its calls may be under way, and how many may wait for that and how long, ms. Absent where there is no
   * upstream of its own.
   */
  readonly pool?: { readonly connections: number; readonly queue: number; readonly waitMs: number };
  /** Whether the gateway's own traceparent goes upstream. */
  readonly traceContext: boolean;
  /**
   * Reads the body as far as the rules need it, and says what the call would do. Throws the 400 family and
   * `unsupported_media_type`.
   */
  classify(request: InboundRequest, need: BodyNeed): Action | Promise<Action>;
  /** What of the agent's fields a held call would lose, given those that its approval binds. */
  leftBehind?(headers: HeaderList, bound: HeaderList): LeftBehind;
  /**
   * MCP, a mount that several servers share: which of them a request is for. Throws what `classify` throws, and
   * `session_not_found`.
   */
  route?(request: InboundRequest, principal: Principal): Promise<Routed>;
}

/** A request to a mount that several servers share: for one of them and in its words, or for them all. */
export interface Routed {
  /** The name of the server's own mount (domain/server-names.ts). */
  readonly mount?: string;
  readonly request: InboundRequest;
}
