// One call in progress: the exchange with its agent, its open spans, and the stage that it has reached. What is known of
// the call (caller, action, decision, hold …) stands in its stage and nowhere else; see domain/stages.ts.

import type { ErrorCode } from '../errors.ts';
import type { EpochMs } from './clock.ts';
import type { Identified } from './identity.ts';
import type { Reservation } from './meter.ts';
import type { InboundRequest } from './request.ts';
import type { RuntimeConfig } from './runtime-config.ts';
import type { Reached } from './stages.ts';
import type { Span } from './trace.ts';
import type { ResponseSink, Upgrade } from './upstream.ts';

/** A call that the gateway makes to a server while it serves another call: to which mount, and for which caller. */
export interface Subcall {
  readonly mount: string;
  readonly identified: Identified;
}

export interface ArrivedCall {
  readonly id: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  /** What was in force when the call arrived. The call is received, decided and sent under this configuration. */
  readonly runtime: RuntimeConfig;
  readonly sink: ResponseSink;
  /** Present when the request asks for another protocol on its connection. */
  readonly upgrade?: Upgrade | undefined;
  readonly subcall?: Subcall | undefined;
  /** The strict parse of what arrived. Throws the 400 family. */
  parse(): InboundRequest;
}

/** A class, because every call makes one, and its members are known from the start. */
export class Call {
  readonly id: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  readonly runtime: RuntimeConfig;
  readonly upgrade: Upgrade | undefined;
  readonly subcall: Subcall | undefined;
  readonly parse: () => InboundRequest;
  /** Where the answer goes. A protocol handler (domain/protocol-handler.ts) may put another sink in its place. */
  sink: ResponseSink;
  /** The span that the next steps belong to: admit, then release. Undefined once that span has ended. */
  span: Span | undefined;
  /**
   * The SERVER span of a call that came back for the hold of an earlier call. The span stays open until this call has
   * its answer.
   */
  answerSpan: Span | undefined;
  /** The status that the agent got, where the gateway gave the answer itself. */
  told: number | undefined;
  /** Whether the answer says that the call failed, whatever its status: a JSON-RPC error, or that of a tool. */
  failed = false;
  /** Why the gateway cut the call while it was with its upstream. */
  cut: ErrorCode | undefined;
  /** MCP: what the upstream asked of the agent's side while it answered, and whether that passed. At most 100. */
  serverRequests: { readonly method: string; readonly passed: boolean }[] | undefined;
  /** MCP: servers of a shared mount that had no part in the answer, and why. */
  missingServers: readonly { readonly server: string; readonly error: string }[] | undefined;
  /** The taints with which the call has marked somebody, or something. */
  marked: readonly string[] | undefined;
  /** True while the call counts among the calls of its agent. */
  counted = false;
  /** The upstream in whose pool the call has a place. */
  slot: string | undefined;
  /** What the call holds in meters until it is sent or ends. */
  reserved: Reservation | undefined;
  #reached: Reached = { call: this };

  constructor({ id, receivedAt, method, runtime, sink, upgrade, subcall, parse }: ArrivedCall) {
    this.id = id;
    this.receivedAt = receivedAt;
    this.method = method;
    this.runtime = runtime;
    this.sink = sink;
    this.upgrade = upgrade;
    this.subcall = subcall;
    this.parse = parse;
  }

  /** The last stage that the call has come to. */
  get reached(): Reached {
    return this.#reached;
  }

  /** Notes a stage in the moment in which its facts are known, so that a step that fails later loses none of them. */
  reach<Stage extends Reached>(stage: Stage): Stage {
    this.#reached = stage;
    return stage;
  }
}
