// The stages of a call: each step takes one of these and gives the next, so that the order of pipeline.ts is the only
// order that compiles.

import type { GatewayError } from '../errors.ts';
import type { Action, BodyNeed, Digest, Protocol } from './action.ts';
import type { CallFacts } from './call.ts';
import type { Clearance } from './clearance.ts';
import type { Credential } from './credential.ts';
import type { LeftBehind } from './deciding-fields.ts';
import type { Decision, Policy } from './decision.ts';
import type { HeaderList } from './headers.ts';
import type { Identified, Identity } from './identity.ts';
import type { Principal } from './principal.ts';
import type { InboundRequest } from './request.ts';
import type { Task, TaskCall } from './task.ts';
import type { Span } from './trace.ts';
import type { ResponseSink, Sent, Upgrade } from './upstream.ts';

/** A mounted upstream, as far as a call's way needs to know it. */
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

/** What a configuration gives; a reload makes a new one, and a call that waits is judged again by the newest. */
export interface RuntimeConfig {
  readonly identity: Identity;
  readonly policy: Policy;
  readonly mounts: ReadonlyMap<string, Mount>;
  /** Longest wait of a held call, ms. */
  readonly waitMs: number;
  /** Most calls of one agent that may be under way. */
  readonly callsPerAgent: number;
  /** Largest body of a call that may be held, bytes. */
  readonly heldBodyBytes: number;
  /** Most that the store keeps of one agent, bytes. */
  readonly storedBytesPerAgent: number;
}

/** One call in progress: its facts, where its answer goes, and its open spans. */
export interface Call {
  /** What was in force when it arrived; the call is received, decided and sent by it. */
  readonly runtime: RuntimeConfig;
  readonly facts: CallFacts;
  /** Where the answer goes. A protocol handler (domain/protocol-handler.ts) may put another in its place. */
  sink: ResponseSink;
  /** Present when the request asks for another protocol on its connection. */
  readonly upgrade?: Upgrade;
  /**
   * Present for a call that the gateway makes in the course of another: to which mount, and for whom. It is decided and
   * recorded like any, and never held.
   */
  readonly subcall?: { readonly mount: string; readonly identified: Identified };
  /** The strict parse of what arrived. Throws the 400 family. */
  parse(): InboundRequest;
  mount?: Mount;
  /** The span that the call's next steps belong to: admit, then release. Taken away when it has ended. */
  span?: Span;
  /**
   * The SERVER span of a call that came back for a hold of an earlier one: it stays open until this call has its
   * answer.
   */
  answerSpan?: Span;
  /** When the answer began to be held back for people, ms since the epoch. */
  heldSince?: number;
  /** Set once the call is cleared: settle must end what was begun. */
  cleared?: Cleared;
  credential?: Credential;
  /** The status that the agent got where it is not the upstream's. */
  toldStatus?: number;
  /** Set by send: what came back. */
  sent?: Sent;
  /** True from the moment when the first byte may have gone upstream. */
  departed: boolean;
  /** Set by send when the call failed after that, and not one byte of it had gone out after all. */
  neverArrived?: true;
  /** Set while it counts among the calls of its agent, and of its upstream. */
  counted?: true;
  slot?: string;
  /** Set when its task's history has changed so that it is not allowed any more. */
  barred?: true;
  /** True once the call stands in its task's history. */
  remembered?: boolean;
}

export interface Received {
  readonly call: Call;
  readonly request: InboundRequest;
  readonly mount: Mount;
}

export interface Recognised extends Received, Identified {}

/** A call that uses the approval of this very hold and of no other. */
export interface Resumption {
  readonly holdId: string;
  /** The fields that conditions see: those that the approval bound as they were held, the others as they came now. */
  readonly headers: HeaderList;
}

export interface Classified extends Recognised {
  readonly action: Action;
  readonly resumes?: Resumption;
  readonly task?: Task;
  readonly calls: readonly TaskCall[];
}

export interface Decided extends Classified {
  readonly decision: Decision;
  readonly actionDigest: Digest;
  /**
   * For holds that are bound to the MCP session of the call; absent where it has none, and where no hold is asked for.
   */
  readonly formerActionDigest?: Digest;
}

export interface Cleared extends Decided {
  readonly clearance: Clearance;
}

declare const journaled: unique symbol;

/** A cleared call whose decision is on record. Only steps/journal.ts makes one. */
export interface Journaled extends Cleared {
  readonly [journaled]: true;
  readonly auditSeq: number;
}

export interface Armed extends Journaled {
  readonly credential?: Credential;
}

/** What pipeline.ts strings together. */
export interface Steps {
  receive(call: Call): Received;
  identify(received: Received): Recognised | Promise<Recognised>;
  /** Undefined when it was a question about a hold, and has been answered. */
  classify(recognised: Recognised): Classified | undefined | Promise<Classified | undefined>;
  decide(classified: Classified): Decided;
  clear(decided: Decided): Cleared | Promise<Cleared>;
  journal(cleared: Cleared): Promise<Journaled>;
  arm(journaled: Journaled): Armed | Promise<Armed>;
  send(armed: Armed): Promise<void>;
  refuse(call: Call, error: GatewayError): Promise<void>;
  settle(call: Call): Promise<void>;
}
