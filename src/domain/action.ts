// What a call would do, in canonical form: the thing that rules match, reviewers read and digests bind.

import type { HeaderList } from './headers.ts';
import type { Json, JsonObject } from './json.ts';

/** How a mounted upstream speaks. */
export type Protocol = 'http' | 'mcp';

/** Lower-case hex of a SHA-256. */
export type Digest = string;

/** How much of the body must be at hand before a decision. */
export type BodyNeed =
  /** Nothing looks at it: it is streamed. */
  | 'stream'
  /**
   * It is streamed, and watched: for other methods the rules are stricter, and a field of the body could name one of
   * them (actions/override.ts).
   */
  | 'method'
  /**
   * Nothing looks at it, but the decision may change while it arrives: it is watched as for `method`, buffered and
   * hashed, whatever its type.
   */
  | 'whole'
  /** It may be held: it is buffered and hashed. */
  | 'bytes'
  /** A condition reads it: it is buffered, hashed and strictly parsed as JSON. */
  | 'json';

export interface ActionBody {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly digest: Digest;
  /**
   * What approvals bind in place of the bytes, where some of them only number the message: for MCP the message without
   * its JSON-RPC id, progress token, trace context and the gateway's own members (actions/mcp-message.ts). What is
   * sent is the bytes.
   */
  readonly identity?: Digest;
}

/**
 * MCP: in which form a client takes a task for an answer: `params.task` of revision 2025-11-25, or the extension
 * `io.modelcontextprotocol/tasks` of 2026-07-28.
 */
export type TaskForm = 'core' | 'extension';

/** What an MCP message says about its own transport. Approvals never bind it, and rules never match it. */
export interface RpcTransport {
  /**
   * Protocol 2026-07-28 or newer: no sessions, every result has a resultType, and a closed connection means a cancelled
   * call.
   */
  readonly stateless: boolean;
  readonly progressToken?: string | number;
  /** Whether the client takes an event stream for an answer. */
  readonly streams: boolean;
  /** A requestState that this gateway gave out, taken off the message. Not yet verified. */
  readonly requestState?: string;
  /** The task of the gateway's that the message names (`_meta["countersign/task"]`), taken off the message. */
  readonly namedTask?: string;
  /** Whether the message continues a round trip of the upstream (`inputResponses` or the upstream's requestState). */
  readonly continues: boolean;
  /** The client takes a task for an answer to this request. */
  readonly task?: TaskForm;
  /** The task would be the gateway's own: the server makes none of this call. Known from the tool's definition. */
  readonly ownTask?: true;
  /** The body without `params.task`, where the message has it: it is sent when the task is the gateway's own. */
  readonly withoutTask?: ActionBody;
}

/** A JSON-RPC message of MCP: a request has a method and an id, a notification no id, a response no method. */
export interface McpMessage extends RpcTransport {
  /** For example `tools/call`. */
  readonly method?: string;
  readonly id?: string | number;
  /** The server asks this of the agent's side. Only allow rules that name its method let it through. */
  readonly fromServer?: true;
  /**
   * The annotations of the tool's definition, as the server gives them: hints that may make a decision stricter, never
   * milder.
   */
  readonly hints?: JsonObject;
  /** What the tool's definition says in words, for reviewers. Not bound. */
  readonly toolWords?: ToolWords;
  /** Present when the tool's definition is not the pinned one. Bound by the action digest. */
  readonly toolChange?: ToolChange;
}

/** A tool's definition that is not the one that was pinned. Both as the server gave them: untrusted words. */
export interface ToolChange {
  readonly pinned: JsonObject;
  readonly now: JsonObject;
}

/** A server's own words on a tool, as they are shown to reviewers. */
export interface ToolWords {
  readonly title?: string;
  readonly description?: string;
  readonly arguments: Readonly<Record<string, { readonly title?: string; readonly description?: string }>>;
}

/**
 * What a request to open a WebSocket asks for: the upstream chooses one of the subprotocols, and some of the
 * extensions. Members in JCS order.
 */
export interface UpgradeOffer {
  /** Each as it is sent, with its parameters. */
  readonly extensions: readonly string[];
  readonly protocol: 'websocket';
  readonly subprotocols: readonly string[];
}

export interface Action {
  readonly protocol: Protocol;
  /** The name under `upstreams`. */
  readonly upstream: string;
  /** host[:port] of the upstream's configured URL: where the call would go. */
  readonly authority: string;
  readonly method: string;
  /** Raw path and query exactly as they would be forwarded, below the upstream's URL. */
  readonly target: string;
  /** The raw path that rules match: `target` without its query and without the upstream's own base path. */
  readonly path: string;
  readonly query?: string;
  /** Present when the connection is to become a WebSocket: another action than the same request without it. */
  readonly upgrade?: UpgradeOffer;
  /** Media type as sent, when there is a body. */
  readonly contentType?: string;
  /**
   * The fields that are bound by the digest, and the only fields of the agent's that a held call forwards.
   * Sorted by name.
   */
  readonly boundHeaders: HeaderList;
  /** MCP: the tool that `tools/call` names. */
  readonly tool?: string;
  /** MCP: the message; absent for a GET or DELETE of the endpoint, and for every call of plain HTTP. */
  readonly mcp?: McpMessage;
  /**
   * What the call passes: MCP `arguments`, or the parsed JSON body of an HTTP call. Absent when the body was not
   * parsed.
   */
  readonly args?: Json;
  /** The buffered body; absent when it is empty or streamed. */
  readonly body?: ActionBody;
  /** True when the body was not read: such an action can be allowed, never held. */
  readonly streamed: boolean;
}

/** The part of a decision that is bound into the action digest. */
export interface ActionBinding {
  readonly ruleIds: readonly string[];
  readonly credential?: { readonly name: string; readonly scope: JsonObject };
}
