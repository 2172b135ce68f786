// What a call can be sent to, as far as a call's way needs to know it: one upstream, or several servers that share a
// mount.

import type { Action, BodyNeed, Protocol } from './action.ts';
import type { TaskNeed } from './classification.ts';
import type { LeftBehind } from './deciding-fields.ts';
import type { HeaderList } from './headers.ts';
import type { Principal } from './principal.ts';
import type { AnsweringHandler, ProtocolHandler } from './protocol-handler.ts';
import type { InboundRequest } from './request.ts';

interface CommonMount {
  readonly name: string;
  readonly protocol: Protocol;
  readonly tasks: MountTasks;
  /** MCP: origins of web pages that may call. */
  readonly allowedOrigins?: readonly string[];
  /**
   * Reads the body as far as the rules need it, and says what the call would do. Throws the 400 family and
   * `unsupported_media_type`.
   */
  classify(request: InboundRequest, need: BodyNeed): Action | Promise<Action>;
}

/** What a mount has to do with tasks. */
export interface MountTasks {
  /** What its calls need. */
  readonly required?: TaskNeed;
  /** Whether one is opened for each session that has none. */
  readonly auto: boolean;
  /** MCP: whether the gateway lists its own tool that opens one. */
  readonly offered: boolean;
  /** Whether a session may have one. */
  readonly sessions: boolean;
}

/** One upstream. */
export interface SingleMount extends CommonMount {
  readonly kind: 'single';
  /** Where its calls go, as configured. A mount whose URL has changed is another destination. */
  readonly url: string;
  /** Whether upgrades to WebSocket pass. */
  readonly webSocket: boolean;
  /** How many calls may be under way, how many more may wait, and how long. */
  readonly pool: { readonly connections: number; readonly queue: number; readonly waitMs: number };
  /** Whether the gateway's own traceparent goes upstream. */
  readonly traceContext: boolean;
  /** What the mount's protocol adds to its calls. Plain HTTP adds nothing. */
  readonly handler?: ProtocolHandler;
  /** Which of the agent's fields a held call would lose, given those that its approval binds. */
  leftBehind(headers: HeaderList, bound: HeaderList): LeftBehind;
}

/** A mount that several MCP servers share. Each server has a single mount of its own besides. */
export interface SharedMount extends CommonMount {
  readonly kind: 'shared';
  readonly protocol: 'mcp';
  /** Answers what concerns all of the servers. */
  readonly handler: AnsweringHandler;
  /** Which of the servers a request is for. Throws what `classify` throws, and `session_not_found`. */
  route(request: InboundRequest, principal: Principal): Promise<Routed>;
}

export type Mount = SingleMount | SharedMount;

/** A request to a shared mount: for one of its servers and in that server's words, or for them all. */
export interface Routed {
  /** The name of the server's own mount (domain/server-names.ts). */
  readonly mount?: string;
  readonly request: InboundRequest;
}
