// Holding calls until people have decided. Implemented by approvals/ over a HoldStore.

import type { GatewayError } from '../errors.ts';
import type { Action, Digest } from './action.ts';
import type { CallSession } from './call-session.ts';
import type { Clearance } from './clearance.ts';
import type { Approval, Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import type { Hold } from './hold.ts';
import type { MeterEntry } from './meter.ts';
import type { PasskeyEvidence } from './passkey.ts';
import type { Principal } from './principal.ts';
import type { Reviewer } from './reviewer.ts';
import type { Task, TaskCall } from './task.ts';
import type { HoldTrace } from './trace.ts';

/** What the rules say about a call, with the digests of the action that depend on it. */
export interface Verdict {
  readonly decision: Decision;
  readonly actionDigest: Digest;
  /**
   * The action digest as earlier versions made it, with the MCP session of this call; absent when the call has none.
   */
  readonly formerActionDigest?: Digest;
}

/** A call as it was judged on the facts of now, and as it would be judged on others. */
export interface Judged extends Verdict {
  readonly principal: Principal;
  readonly task?: Task;
  readonly facts: Facts;
  /** The same call, judged on these facts. */
  on(facts: Facts): Verdict;
}

/** A call that policy wants held. */
export interface HoldRequest extends Judged {
  readonly action: Action;
  readonly calls: readonly TaskCall[];
  /** What a new hold reserves in meters. */
  readonly reserves: readonly MeterEntry[];
  readonly idempotencyKey?: string;
  /** The session in which this very message came. */
  readonly session?: CallSession;
  /** Names of the agent's header fields that the call will not carry. Reviewers and the agent are told. */
  readonly leftBehind: readonly string[];
  /** Uses the approval of this hold only, and never opens another hold. */
  readonly resumes?: string;
  /** How long this request may wait here, ms; 0 answers at once. */
  readonly waitMs: number;
  /** Called once, when a new hold is about to be written: writes the approval trace's first span. */
  traceHold(holdId: string): HoldTrace;
  /** Called once the hold is durable (new or attached to). */
  held(hold: Hold, isNew: boolean): void;
  /**
   * Judges the same call again at release, with the approval as an input. Uses the caller's live token, the task as it
   * is now and the policy in force. Throws what identification or policy throws.
   */
  rejudge(approval: Approval): Promise<Judged>;
  /** Calls back when the agent has gone away; the hold stays. */
  onClosed(callback: () => void): () => void;
}

/** A call that names an Idempotency-Key. */
export interface RepeatedRequest {
  readonly principal: Principal;
  readonly task?: Task;
  readonly action: Action;
  readonly idempotencyKey: string;
}

export interface Ballot {
  readonly decision: 'approve' | 'deny';
  /** The binding digest that the reviewer looked at. */
  readonly bindingDigest: Digest;
  readonly reason?: string;
  /** An assertion over this ballot, verified by the reviewers' plane. It counts as a fresh sign-in. */
  readonly passkey?: PasskeyEvidence;
}

export interface Outcome {
  /** The upstream's status; absent when it never answered. */
  readonly status?: number;
  /** False when nobody knows whether the call took effect: its answer broke off or never came. */
  readonly known: boolean;
}

export interface Recalled {
  readonly hold: Hold;
  /** The error that the call itself would get now; absent while the hold is PENDING or APPROVED. */
  readonly ending?: GatewayError;
}

export interface Approvals {
  /**
   * Opens a hold or attaches to an open one, waits, and claims the approval: a clearance for exactly one send. Throws
   * `approval_pending` when the wait is over, `approval_denied` `approval_expired` `approval_unused` `approval_revoked`
   * `approval_invalidated`, `already_sent`, `outcome_unknown`, `idempotency_key_reused`, `too_many_pending`,
   * `no_eligible_reviewer`, `session_required`, `principal_suspended`, `draining`.
   */
  obtain(request: HoldRequest): Promise<Clearance>;
  /**
   * What a call is told that was held, approved and sent under this Idempotency-Key before; undefined for every other
   * call. Throws `store_unavailable`.
   */
  sentBefore(request: RepeatedRequest): Promise<GatewayError | undefined>;
  /**
   * RELEASING → SENT, durable before it resolves; a no-op for allowed calls. Throws when this call no longer holds the
   * claim: then nothing may be sent.
   */
  markSent(clearance: Clearance): Promise<void>;
  /**
   * The call's ending: SENT → EXECUTED | UPSTREAM_ERROR | OUTCOME_UNKNOWN, or RELEASING → EXPIRED when it was never
   * sent. Never throws.
   */
  settle(clearance: Clearance, outcome: Outcome | 'not_sent'): Promise<Hold | undefined>;
  /**
   * A hold of this principal; waits up to `waitMs` for it to leave PENDING. Throws `hold_not_found` for a hold of
   * somebody else.
   */
  view(id: string, principal: Principal, waitMs: number): Promise<Hold>;
  /**
   * Finds the hold opened by exactly this caller: same key, same delegation chain. Reading a final state marks it as
   * told. Throws `hold_not_found` for anybody else.
   */
  recall(id: string, principal: Principal): Promise<Recalled>;
  /** Cancels a PENDING or APPROVED hold. Throws `hold_not_found`, `hold_closed`. */
  cancel(id: string, principal: Principal): Promise<Hold>;
  /** The session has ended: cancels the holds of this caller at this mount that no other session can use. */
  endSession(principal: Principal, mount: string, session: CallSession): Promise<void>;
  /**
   * Throws `hold_not_found`, `hold_closed`, `stale_digest`, `not_a_reviewer`, `separation_of_duties`, `already_voted`,
   * `reason_required`, `step_up_required`, `assurance_required`.
   */
  vote(id: string, reviewer: Reviewer, ballot: Ballot): Promise<Hold>;
  /** The reviewer has opened the hold. The time until the vote is measured from here. */
  opened(id: string, reviewer: Reviewer): void;
  /** A reviewer of this hold takes it back before use. Throws as `vote`. */
  revoke(id: string, reviewer: Reviewer, reason: string | undefined): Promise<Hold>;
  /**
   * Ends what a dead process left: RELEASING → EXPIRED, SENT → OUTCOME_UNKNOWN. Then starts the timer that ends holds
   * whose clock has run out.
   */
  start(): Promise<void>;
  /** Ends every wait with `approval_pending`; the holds stay. */
  drain(): void;
  close(): void;
}
