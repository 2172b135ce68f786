// One wide event per call, derived from the last stage that the call has reached. The log line, the spans, the metrics
// and the audit record are written from it and from nothing else. It holds names and digests, and references to what
// holds more; whoever writes from it picks names and digests only.

import type { ErrorCode } from '../errors.ts';
import type { Action, Digest } from './action.ts';
import type { EpochMs } from './clock.ts';
import type { Credential } from './credential.ts';
import type { Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import type { Hold } from './hold.ts';
import type { Principal } from './principal.ts';
import type { InboundRequest } from './request.ts';
import type { Reached } from './stages.ts';
import { taintsOf } from './taint.ts';
import type { Task } from './task.ts';

export interface CallFacts {
  readonly id: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  /** As it arrived. */
  readonly request?: InboundRequest | undefined;
  readonly principal?: Principal | undefined;
  readonly action?: Action | undefined;
  readonly actionDigest?: Digest | undefined;
  readonly task?: Task | undefined;
  readonly decision?: Decision | undefined;
  /** What was known when it was decided. */
  readonly facts?: Facts | undefined;
  /**
   * Known a moment before `hold`, while the approval's first span is written; and known without a hold where a call is
   * refused because of an earlier hold.
   */
  readonly holdId?: string | undefined;
  /** The marks that were known when the call was decided. */
  readonly tainted?: readonly string[] | undefined;
  /** The taints with which the call has marked somebody, or something. */
  readonly marked?: readonly string[] | undefined;
  readonly hold?: Hold | undefined;
  readonly credential?: Credential | undefined;
  readonly auditSeq?: number | undefined;
  /** How long the call waited for people. Not part of the metric of request durations. */
  readonly heldMs?: number | undefined;
  readonly upstreamStatus?: number | undefined;
  readonly serverRequests?: readonly { readonly method: string; readonly passed: boolean }[] | undefined;
  readonly missingServers?: readonly { readonly server: string; readonly error: string }[] | undefined;
  /** The status that the agent got. */
  readonly status?: number | undefined;
  readonly error?: ErrorCode | undefined;
}

/** What is known of a call at this moment. */
export function factsOf(reached: Reached): CallFacts {
  const { call, sent, error } = reached;
  return {
    id: call.id,
    receivedAt: call.receivedAt,
    method: call.method,
    request: reached.arrived,
    principal: reached.principal,
    action: reached.action,
    actionDigest: reached.actionDigest,
    task: reached.task,
    decision: reached.decision,
    facts: reached.facts,
    holdId: error?.details.holdId,
    tainted: reached.facts?.tainted && taintsOf(reached.facts.tainted),
    marked: call.marked,
    hold: reached.hold,
    credential: reached.credential,
    auditSeq: reached.auditSeq,
    heldMs: reached.heldMs,
    upstreamStatus: sent?.status,
    serverRequests: call.serverRequests,
    missingServers: call.missingServers,
    status: statusOf(reached),
    // A call that the gateway cut looks like one whose agent went away.
    error: call.cut ?? error?.code,
  };
}

/** The status that the agent got; undefined while it has none. */
export function statusOf({ call, sent }: Reached): number | undefined {
  return call.told ?? sent?.status;
}
