// Decides what a request that policy wants held becomes: a new hold, an attachment to a hold that the agent has
// already, or a refusal. Pure: it runs inside the store's transaction, so two identical requests never open two holds.
// Trusts the digests. Refuses to ask people again what they have denied.

import type { Digest } from '../domain/action.ts';
import { type AgentLimits, refuseHold } from '../domain/agent-limits.ts';
import type { Judged } from '../domain/approvals.ts';
import { type CallSession, mayUse } from '../domain/call-session.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Hold, NewHold } from '../domain/hold.ts';
import type { Admitted, AgentUsage, OpenedHold } from '../domain/hold-store.ts';
import { bindsSession } from '../domain/mcp-session.ts';
import { boundTask } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { advance, hasRunOut, isOpen, openHold } from './machine.ts';
import { outcomeErrorOf, sentAlready } from './outcome-errors.ts';
import { standingOf } from './standing.ts';

/**
 * A denial without a task refuses the identical request for this long. A denial in a task lasts as long as the task.
 */
const DENIAL_WITHOUT_TASK_MS = 60 * 60_000;

/** The request as admission sees it. */
export interface AdmissionRequest {
  readonly requestDigest: Digest;
  /** The same as holds of earlier versions have it, which bound the MCP session; absent where there is no session. */
  readonly formerRequestDigest?: Digest;
  readonly judged: Judged;
  readonly idempotencyKey?: string;
  readonly session?: CallSession;
  readonly limits: AgentLimits;
  /** Makes the record of a new hold and what stands beside it; called at most once. */
  record(): { readonly record: NewHold } & Omit<OpenedHold, 'hold'>;
}

export type Admission =
  | { readonly kind: 'new' | 'attach'; readonly hold: Hold }
  | { readonly kind: 'refused'; readonly error: GatewayError };

/** For `HoldStore.admit`: `known` newest first, `usage` what the agent has there, `now` the store's. */
export function admit(
  asked: AdmissionRequest,
  known: readonly Hold[],
  usage: () => AgentUsage,
  now: EpochMs,
): Admitted<Admission> {
  const reused = known.find(
    (hold) =>
      asked.idempotencyKey !== undefined && hold.idempotencyKey === asked.idempotencyKey && !isSame(hold, asked),
  );
  if (reused !== undefined) {
    return refuse(
      new GatewayError('idempotency_key_reused', 'This Idempotency-Key was used for another request before.', {
        holdId: reused.id,
      }),
    );
  }
  const same = known.filter((hold) => isSame(hold, asked));
  // A request with another Idempotency-Key is another call. Only denials count for every key: otherwise a new key would
  // be a way around a denial.
  const alike = same.filter((hold) => hold.idempotencyKey === asked.idempotencyKey);
  // The same key is the same call, whatever session it comes in. Without a key, another session's call is another call.
  const latest = asked.idempotencyKey === undefined ? alike.find((hold) => mayUse(hold, asked.session)) : alike[0];
  const sent = latest && sentBefore(latest, asked);
  if (sent !== undefined) return refuse(sent);
  const denied = same.find(
    (hold) =>
      hold.state === 'DENIED' && (boundTask(hold.task) !== undefined || now < hold.endedAt + DENIAL_WITHOUT_TASK_MS),
  );
  if (denied !== undefined) return refuse(outcomeErrorOf(denied));
  return (latest && settleLatest(latest, asked, now)) ?? open(asked, usage, now);
}

/** What the same call under the same key is told once it was sent. For `HoldStore.admit`. */
export function sentUnderKey(asked: RepeatedCall, known: readonly Hold[]): GatewayError | undefined {
  const latest = known.find((hold) => hold.idempotencyKey === asked.idempotencyKey && isSame(hold, asked));
  return latest && sentBefore(latest, asked);
}

type RepeatedCall = Pick<AdmissionRequest, 'requestDigest' | 'formerRequestDigest' | 'idempotencyKey'>;

function isSame(hold: Hold, { requestDigest, formerRequestDigest }: RepeatedCall): boolean {
  return hold.requestDigest === (bindsSession(hold.action) ? formerRequestDigest : requestDigest);
}

function sentBefore(latest: Hold, asked: RepeatedCall): GatewayError | undefined {
  if (latest.state === 'RELEASING' || latest.state === 'SENT') return outcomeErrorOf(latest);
  const wasSent =
    latest.state === 'EXECUTED' || latest.state === 'UPSTREAM_ERROR' || latest.state === 'OUTCOME_UNKNOWN';
  return wasSent && asked.idempotencyKey !== undefined ? sentAlready(latest) : undefined;
}

/** What the newest hold of the same request means for it; undefined when a new hold may be opened. */
function settleLatest(latest: Hold, asked: AdmissionRequest, now: EpochMs): Admitted<Admission> | undefined {
  if (isOpen(latest, now) && !mayUse(latest, asked.session)) return refuse(ofAnotherSession(latest));
  switch (latest.state) {
    case 'PENDING':
    case 'APPROVED': {
      if (hasRunOut(latest, now)) return tell(latest, advance(latest, { type: 'expire' }, now), now);
      const standing = standingOf(latest, asked.judged);
      if ('changed' in standing)
        return tell(latest, advance(latest, { type: 'invalidate', because: standing.changed }, now), now);
      return { answer: { kind: 'attach', hold: latest } };
    }
    case 'EXPIRED':
    case 'REVOKED':
    case 'CANCELLED':
    case 'INVALIDATED':
    case 'OUTCOME_UNKNOWN':
      return latest.reportedAt === undefined ? tell(latest, latest, now) : undefined;
    default:
      return undefined;
  }
}

/** The same as `admit` when the agent names the hold that it comes back for: no other hold is opened or attached to. */
export function readmit(asked: AdmissionRequest, hold: Hold, now: EpochMs): Admitted<Admission> {
  return settleLatest(hold, asked, now) ?? refuse(outcomeErrorOf(hold));
}

function open(asked: AdmissionRequest, usage: () => AgentUsage, now: EpochMs): Admitted<Admission> {
  refuseHold(usage(), asked.limits, now);
  const { record, ...beside } = asked.record();
  const hold = openHold(record, now);
  return { opened: { hold, ...beside }, answer: { kind: 'new', hold } };
}

const ofAnotherSession = ({ id }: Hold): GatewayError =>
  new GatewayError('session_required', 'The approval belongs to the session that asked for it, and this is another.', {
    holdId: id,
  });

const refuse = (error: GatewayError): Admitted<Admission> => ({ answer: { kind: 'refused', error } });

/** Refuses with the final state and marks that the agent was told: the next identical request opens a new hold. */
function tell(from: Hold, ended: Hold, now: EpochMs): Admitted<Admission> {
  const to = advance(ended, { type: 'report' }, now);
  return { changed: { from, to }, answer: { kind: 'refused', error: outcomeErrorOf(ended) } };
}
