// The agent's side of a hold: open or attach, wait, judge again, claim once. A clearance comes out, or the reason why not.
// Trusts nothing from before the wait: identity, task, policy and the reviewers' standing are looked at again at release.

import type { HoldRequest } from '../domain/approvals.ts';
import { type Clearance, clearReleased } from '../domain/clearance.ts';
import type { Approval } from '../domain/decision.ts';
import type { Hold } from '../domain/hold.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type Admission, type Asked, admit, changeSince, readmit } from './admission.ts';
import { bindingDigest, formerRequestDigest, requestDigest } from './binding.ts';
import { type Desk, look } from './desk.ts';
import { refuseWithoutReviewer } from './electorate.ts';
import { endingOf, stillPending } from './endings.ts';
import { heldContent, heldPrincipal, random128, recordHold } from './hold-record.ts';
import { advance, hasRunOut, isTerminal } from './machine.ts';
import { approvalOf } from './quorum.ts';
import { holdRecord } from './records.ts';

/** `Approvals.obtain`. Throws as the port says, and `unsupported_media_type`, `audit_unavailable`, `client_closed`, and what `rejudge` throws. */
export async function obtain(desk: Desk, request: HoldRequest): Promise<Clearance> {
  return release(desk, request, await decided(desk, request, await enter(desk, request)));
}

/** Gives the id alone: tens of thousands of waits must not each keep a copy of their hold. */
async function enter(desk: Desk, request: HoldRequest): Promise<string> {
  const digest = requestDigest(request.principal, request.task?.id, request.action);
  const former = formerRequestDigest(request.principal, request.task?.id, request.action);
  const { formerActionDigest } = request;
  const key = request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey };
  const asked: Asked = {
    ...key,
    requestDigest: digest,
    actionDigest: request.actionDigest,
    ...(former !== undefined && formerActionDigest !== undefined && { inSession: { requestDigest: former, actionDigest: formerActionDigest } }),
    decisionDigest: request.decision.decisionDigest,
    caller: request.principal,
    ...(request.task === undefined ? {} : { task: request.task }),
    limits: desk.limits(),
    record() {
      const owners = desk.owners(request.principal.id);
      refuseWithoutReviewer(request.decision.requirements, heldPrincipal(request.principal, owners), desk.suspended());
      // First what it may throw: nothing is traced for a call that cannot be held.
      const content = heldContent(request);
      return { record: recordHold(request, digest, owners), content };
    },
  };
  const admission = await (request.resumes === undefined ? admitted(desk, request, asked, key) : reenter(desk, request, asked, request.resumes));
  if (admission.kind === 'refused') throw admission.error;
  if (admission.kind === 'new') await recordOpening(desk, admission.hold);
  request.held(admission.hold, admission.kind === 'new');
  return admission.hold.id;
}

function admitted(desk: Desk, request: HoldRequest, asked: Asked, key: { readonly idempotencyKey?: string }): Promise<Admission> {
  const { requestDigest: digest, inSession } = asked;
  const former = inSession && { formerRequestDigest: inSession.requestDigest };
  return desk.store.admit<Admission>({ ...key, ...former, principalId: request.principal.id, requestDigest: digest }, (known, usage, now) => {
    // Here and not before, so that a hold never comes in behind a suspension that has closed the others.
    desk.refuseSuspended(request.principal, request.task?.id);
    return admit(asked, known, usage, now);
  });
}

/** The same door for a hold that is named: what has changed since voids it, and what has ended stays ended. */
async function reenter(desk: Desk, request: HoldRequest, asked: Asked, id: string): Promise<Admission> {
  const { answer } = await desk.store.change<Admission>(id, (hold, now) => {
    desk.refuseSuspended(request.principal, request.task?.id);
    const { write, answer: admission } = readmit(asked, hold, now);
    return { ...(write && { next: write }), answer: admission };
  });
  return answer;
}

// A hold that is not in the log must not wait for votes: it ends as told, so that the agent's retry opens another.
async function recordOpening(desk: Desk, hold: Hold): Promise<void> {
  try {
    await desk.audit.append('hold', hold.createdAt, holdRecord(hold), 'fsync');
  } catch (thrown) {
    await desk.store.change(hold.id, (seen, now) => {
      if (isTerminal(seen.state)) return { answer: undefined };
      const ended = advance(seen, { type: 'invalidate', because: 'The hold could not be recorded.' }, now);
      return { next: advance(ended, { type: 'report' }, now), answer: undefined };
    });
    throw thrown;
  }
}

/** Waits for the hold to leave PENDING. Throws `approval_pending` when the wait is over, `client_closed`. */
async function decided(desk: Desk, request: HoldRequest, id: string): Promise<Hold> {
  // Listen first, look second: a decision between the two is seen by both, one after both wakes.
  const wait = desk.waiting.start(id, request.waitMs, request.onClosed);
  try {
    const settled = await lookForDecision(desk, id);
    if (settled !== undefined) return settled;
    if (request.waitMs <= 0) throw stillPending(await look(desk, id), request);
    const wake = await wait.wake;
    if (wake === 'closed') throw new GatewayError('client_closed', 'The agent went away; its hold stays.', { holdId: id });
    const hold = await look(desk, id);
    if (hold.state === 'PENDING') throw stillPending(hold, request);
    return hold;
  } finally {
    wait.cancel();
  }
}

// A function of its own for the same reason as `enter`.
async function lookForDecision(desk: Desk, id: string): Promise<Hold | undefined> {
  const hold = await look(desk, id);
  return hold.state === 'PENDING' ? undefined : hold;
}

async function release(desk: Desk, request: HoldRequest, hold: Hold): Promise<Clearance> {
  if (hold.state !== 'APPROVED') throw await told(desk, hold);
  const approval = approvalOf(hold, desk.store.now(), desk.suspended());
  if (!approval.satisfies(hold.requirements)) throw await invalidated(desk, hold, 'An approval does not count any more: its reviewer was suspended.');
  const fresh = await rejudge(request, hold.id, approval);
  const change = changeSince(hold, {
    actionDigest: fresh.actionDigest,
    ...(fresh.formerActionDigest !== undefined && { inSession: { actionDigest: fresh.formerActionDigest } }),
    decisionDigest: fresh.decision.decisionDigest,
    caller: fresh.principal,
    ...(fresh.task === undefined ? {} : { task: fresh.task }),
  });
  if (change !== undefined) throw await invalidated(desk, hold, change);
  if (fresh.decision.effect !== 'allow') throw await invalidated(desk, hold, 'Policy does not allow the call any more.');
  const claim = random128();
  const { hold: claimed, answer: won } = await desk.store.change(hold.id, (seen, now) => tryClaim(desk, hold, seen, claim, now));
  if (!won) throw await told(desk, claimed);
  return clearReleased(fresh.decision, claimed, claim);
}

// What this throws (a token that expired while waiting, an agent that left) leaves the approval there for the next attempt.
async function rejudge(request: HoldRequest, holdId: string, approval: Approval): ReturnType<HoldRequest['rejudge']> {
  let gone = false;
  const forget = request.onClosed(() => {
    gone = true;
  });
  try {
    const fresh = await request.rejudge(approval);
    if (gone) throw new GatewayError('client_closed', 'The agent went away before the call was sent; its approval stays.', { holdId });
    return fresh;
  } finally {
    forget();
  }
}

/** The compare-and-set: exactly the version that was judged, unexpired, untampered, still with a quorum. */
function tryClaim(desk: Desk, judged: Hold, seen: Hold, claim: string, now: number): { readonly next?: Hold; readonly answer: boolean } {
  if (hasRunOut(seen, now)) return { next: advance(seen, { type: 'expire' }, now), answer: false };
  if (seen.state !== 'APPROVED') return { answer: false };
  const intact = seen.version === judged.version && seen.bindingDigest === judged.bindingDigest && bindingDigest(seen) === seen.bindingDigest;
  if (!intact) return { next: advance(seen, { type: 'invalidate', because: 'The stored hold is not what was approved.' }, now), answer: false };
  if (!approvalOf(seen, now, desk.suspended()).satisfies(seen.requirements)) {
    return { next: advance(seen, { type: 'invalidate', because: 'A reviewer was suspended.' }, now), answer: false };
  }
  return { next: advance(seen, { type: 'claim', claim, claimedBy: desk.instance }, now), answer: true };
}

async function invalidated(desk: Desk, hold: Hold, because: string): Promise<GatewayError> {
  const { hold: after } = await desk.store.change(hold.id, (seen, now) => {
    if (seen.state !== 'APPROVED') return { answer: undefined };
    const ended = advance(seen, { type: 'invalidate', because }, now);
    return { next: advance(ended, { type: 'report' }, now), answer: undefined };
  });
  return told(desk, after);
}

/** The refusal for an ended hold, marked as told, so that the next identical request is a new one. */
export async function told(desk: Desk, hold: Hold): Promise<GatewayError> {
  const error = endingOf(hold);
  if (!isTerminal(hold.state) || hold.reportedAt !== undefined) return error;
  try {
    await desk.store.change(hold.id, (seen, now) => ({
      ...(seen.reportedAt === undefined ? { next: advance(seen, { type: 'report' }, now) } : {}),
      answer: undefined,
    }));
  } catch (thrown) {
    // The agent is told all the same; at worst it is told twice.
    desk.log.warn('approvals.report_failed', { hold: hold.id, error: asGatewayError(thrown).code });
  }
  return error;
}
