// The agent's side of a hold: open a hold or attach to one, wait, judge again, claim once. The result is a clearance or
// an error that says why not. Trusts nothing from before the wait: identity, task, policy and the reviewers' status are
// checked again at release.

import type { HoldRequest, RepeatedRequest } from '../domain/approvals.ts';
import { isBoundToSession } from '../domain/call-session.ts';
import { type Clearance, clearReleased } from '../domain/clearance.ts';
import type { Approval } from '../domain/decision.ts';
import { defined } from '../domain/defined.ts';
import type { Hold } from '../domain/hold.ts';
import { boundTask } from '../domain/task.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type Admission, type AdmissionRequest, admit, readmit, sentUnderKey } from './admission.ts';
import { bindingDigest, formerRequestDigest, requestDigest } from './binding.ts';
import { type ApprovalContext, look } from './context.ts';
import { refuseWithoutReviewer } from './eligible-reviewers.ts';
import { heldContent, heldPrincipal, random128, recordHold } from './hold-record.ts';
import { advance, hasRunOut, isEnded } from './machine.ts';
import { outcomeErrorOf, stillPending } from './outcome-errors.ts';
import { approvalOf } from './quorum.ts';
import { holdRecord } from './records.ts';
import { conflictOf } from './separation.ts';
import { standingOf } from './standing.ts';

/**
 * `Approvals.obtain`. Throws as the port says, and `unsupported_media_type`, `audit_unavailable`, `client_closed`, and
 * what `rejudge` throws.
 */
export async function obtain(context: ApprovalContext, request: HoldRequest): Promise<Clearance> {
  return release(context, request, await decided(context, request, await enter(context, request)));
}

/** Returns the id alone: tens of thousands of waiting calls must not each keep a copy of their hold. */
async function enter(context: ApprovalContext, request: HoldRequest): Promise<string> {
  if (request.session === undefined && isBoundToSession(request.decision.requirements))
    throw new GatewayError('session_required', 'The approval of this call is bound to a session, and it came in none.');
  const task = boundTask(request.task);
  const digest = requestDigest(request.principal, task?.id, request.action);
  const former = formerRequestDigest(request.principal, task?.id, request.action);
  const key = request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey };
  const asked: AdmissionRequest = {
    ...key,
    requestDigest: digest,
    ...(former !== undefined && { formerRequestDigest: former }),
    judged: request,
    ...(request.session && { session: request.session }),
    limits: context.limits(),
    record() {
      const owners = context.owners(request.principal);
      refuseWithoutReviewer(
        request.decision.requirements,
        heldPrincipal(request.principal, owners),
        context.suspended(),
      );
      // Made first, because it may throw: nothing is traced for a call that cannot be held.
      const content = heldContent(request);
      return { record: recordHold(request, digest, owners), content, reserves: request.reserves };
    },
  };
  const admission = await (request.resumes === undefined
    ? admitted(context, request, asked, key)
    : reenter(context, request, asked, request.resumes));
  if (admission.kind === 'refused') throw admission.error;
  if (admission.kind === 'new') await recordOpening(context, admission.hold);
  request.held(admission.hold, admission.kind === 'new');
  return admission.hold.id;
}

/** `Approvals.sentBefore`. */
export function sentBefore(
  { store }: ApprovalContext,
  { principal, task, action, idempotencyKey }: RepeatedRequest,
): Promise<GatewayError | undefined> {
  const taskId = boundTask(task)?.id;
  const asked = {
    idempotencyKey,
    requestDigest: requestDigest(principal, taskId, action),
    ...defined({ formerRequestDigest: formerRequestDigest(principal, taskId, action) }),
  };
  const key = { ...asked, principalId: principal.id, agentKey: principal.agentKey };
  return store.admit(key, (known) => ({ answer: sentUnderKey(asked, known) }));
}

function admitted(
  context: ApprovalContext,
  request: HoldRequest,
  asked: AdmissionRequest,
  key: { readonly idempotencyKey?: string },
): Promise<Admission> {
  const { requestDigest, formerRequestDigest } = asked;
  return context.store.admit<Admission>(
    {
      ...key,
      ...defined({ formerRequestDigest }),
      principalId: request.principal.id,
      agentKey: request.principal.agentKey,
      requestDigest,
    },
    (known, usage, now) => {
      // Checked inside the transaction, so that no hold is opened after a suspension has closed the agent's other
      // holds.
      context.refuseSuspended(request);
      return admit(asked, known, usage, now);
    },
  );
}

/**
 * The same for a hold that the request names. The hold is void if something it binds has changed, and an ended hold
 * stays ended.
 */
async function reenter(
  context: ApprovalContext,
  request: HoldRequest,
  asked: AdmissionRequest,
  id: string,
): Promise<Admission> {
  const { answer } = await context.store.change<Admission>(id, (hold, now) => {
    context.refuseSuspended(request);
    const { changed, answer: admission } = readmit(asked, hold, now);
    return { ...(changed && { next: changed.to }), answer: admission };
  });
  return answer;
}

// A hold that is not in the log must not wait for votes: it ends, marked as told, so that the agent's retry opens
// another.
async function recordOpening(context: ApprovalContext, hold: Hold): Promise<void> {
  try {
    await context.audit.append('hold', hold.createdAt, holdRecord(hold), 'fsync');
  } catch (thrown) {
    await context.store.change(hold.id, (seen, now) => {
      if (isEnded(seen)) return { answer: undefined };
      const ended = advance(seen, { type: 'invalidate', because: 'The hold could not be recorded.' }, now);
      return { next: advance(ended, { type: 'report' }, now), answer: undefined };
    });
    throw thrown;
  }
}

/** Waits for the hold to leave PENDING. Throws `approval_pending` when the wait is over, `client_closed`. */
async function decided(context: ApprovalContext, request: HoldRequest, id: string): Promise<Hold> {
  // Start listening before looking: a decision in between is seen by the look, and a decision after it wakes the wait.
  const wait = context.waiting.start(id, request.waitMs, request.onClosed);
  try {
    const settled = await lookForDecision(context, id);
    if (settled !== undefined) return settled;
    if (request.waitMs <= 0) throw stillPending(await look(context, id), request);
    const wake = await wait.wake;
    if (wake === 'closed')
      throw new GatewayError('client_closed', 'The agent went away; its hold stays.', { holdId: id });
    const hold = await look(context, id);
    if (hold.state === 'PENDING') throw stillPending(hold, request);
    return hold;
  } finally {
    wait.cancel();
  }
}

// A separate function for the same reason as `enter`: no hold is kept while the call waits.
async function lookForDecision(context: ApprovalContext, id: string): Promise<Hold | undefined> {
  const hold = await look(context, id);
  return hold.state === 'PENDING' ? undefined : hold;
}

async function release(context: ApprovalContext, request: HoldRequest, hold: Hold): Promise<Clearance> {
  if (hold.state !== 'APPROVED') throw await told(context, hold);
  const approval = approvalOf(hold, context.store.now(), context.suspended());
  if (!approval.satisfies(hold.requirements))
    throw await invalidated(context, hold, 'An approval does not count any more: its reviewer was suspended.');
  const fresh = await rejudge(request, hold.id, approval);
  const standing = standingOf(hold, fresh);
  if ('changed' in standing) throw await invalidated(context, hold, standing.changed);
  // The caller's token may say more about its people by now: an issuer that has a person claim since.
  const caller = heldPrincipal(fresh.principal, context.owners(fresh.principal));
  if (hold.votes.some(({ reviewer }) => conflictOf(caller, reviewer) !== undefined))
    throw await invalidated(context, hold, 'Somebody who approved it may not decide on calls of this caller.');
  const { decision } = standing.verdict;
  if (decision.effect !== 'allow') throw await invalidated(context, hold, 'Policy does not allow the call any more.');
  const claim = random128();
  const { hold: claimed, answer: won } = await context.store.change(hold.id, (seen, now) =>
    tryClaim(context, hold, seen, claim, now),
  );
  if (!won) throw await told(context, claimed);
  return clearReleased(decision, claimed, claim);
}

// If this throws (the token expired during the wait, the agent left), the approval stays for the next attempt.
async function rejudge(request: HoldRequest, holdId: string, approval: Approval): ReturnType<HoldRequest['rejudge']> {
  let gone = false;
  const forget = request.onClosed(() => {
    gone = true;
  });
  try {
    const fresh = await request.rejudge(approval);
    if (gone)
      throw new GatewayError('client_closed', 'The agent went away before the call was sent; its approval stays.', {
        holdId,
      });
    return fresh;
  } finally {
    forget();
  }
}

/**
 * The compare-and-set: claims only the version that was judged, if it has not run out, is intact and still has its
 * quorum.
 */
function tryClaim(
  context: ApprovalContext,
  judged: Hold,
  seen: Hold,
  claim: string,
  now: number,
): { readonly next?: Hold; readonly answer: boolean } {
  if (hasRunOut(seen, now)) return { next: advance(seen, { type: 'expire' }, now), answer: false };
  if (seen.state !== 'APPROVED') return { answer: false };
  const intact =
    seen.version === judged.version &&
    seen.bindingDigest === judged.bindingDigest &&
    bindingDigest(seen) === seen.bindingDigest;
  if (!intact)
    return {
      next: advance(seen, { type: 'invalidate', because: 'The stored hold is not what was approved.' }, now),
      answer: false,
    };
  if (!approvalOf(seen, now, context.suspended()).satisfies(seen.requirements)) {
    return { next: advance(seen, { type: 'invalidate', because: 'A reviewer was suspended.' }, now), answer: false };
  }
  return { next: advance(seen, { type: 'claim', claim, claimedBy: context.instance }, now), answer: true };
}

async function invalidated(context: ApprovalContext, hold: Hold, because: string): Promise<GatewayError> {
  const { hold: after } = await context.store.change(hold.id, (seen, now) => {
    if (seen.state !== 'APPROVED') return { answer: undefined };
    const ended = advance(seen, { type: 'invalidate', because }, now);
    return { next: advance(ended, { type: 'report' }, now), answer: undefined };
  });
  return told(context, after);
}

/** The refusal for an ended hold. Marks the hold as told, so that the next identical request opens a new one. */
export async function told(context: ApprovalContext, hold: Hold): Promise<GatewayError> {
  const error = outcomeErrorOf(hold);
  if (!isEnded(hold) || hold.reportedAt !== undefined) return error;
  try {
    await context.store.change(hold.id, (seen, now) => ({
      ...(isEnded(seen) && seen.reportedAt === undefined ? { next: advance(seen, { type: 'report' }, now) } : {}),
      answer: undefined,
    }));
  } catch (thrown) {
    // The agent gets the answer in any case; at worst it gets the answer twice.
    context.log.warn('approvals.report_failed', { hold: hold.id, error: asGatewayError(thrown).code });
  }
  return error;
}
