// clear: from a decision to the right to send. An allow clears itself, a deny ends the call, and a hold waits for
// people. When they have approved, everything that the approval rests on is judged again before it is claimed.

import type { Approvals, HoldRequest, Judged, Verdict } from '../domain/approvals.ts';
import { becauseWords } from '../domain/because.ts';
import { factsOf } from '../domain/call-facts.ts';
import { kindOf, type Ways } from '../domain/call-kind.ts';
import { callSession } from '../domain/call-session.ts';
import { clearAllowed } from '../domain/clearance.ts';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { Approval } from '../domain/decision.ts';
import { defined } from '../domain/defined.ts';
import type { Facts } from '../domain/facts.ts';
import { header } from '../domain/headers.ts';
import { waitPreference } from '../domain/prefer.ts';
import type { Cleared, Decided, Held } from '../domain/stages.ts';
import { messageWords } from '../domain/told-reason.ts';
import type { Tracing } from '../domain/trace.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import type { CallMeters } from './call-meters.ts';
import type { CallHistory } from './history.ts';
import { refuseByTask, refuseSpent, type Spending, spend } from './require-task.ts';

export interface ClearDependencies {
  readonly history: Pick<CallHistory, 'begin'>;
  readonly metering: Pick<CallMeters, 'giveBack'>;
  readonly approvals: Approvals;
  readonly tasks: Spending;
  readonly tracing: Tracing;
  readonly clock: Clock;
  readonly ways: Ways;
  /** Waits for a place at the upstream. Throws `too_many_calls` and `client_closed`. */
  takePlace(decided: Decided): undefined | Promise<void>;
  /** Identifies, finds the task and decides again, under the configuration in force at that moment. */
  rejudge(held: Held, approval: Approval): Promise<Judged>;
  /** Decides as at the call's arrival, on other facts. */
  judgeOn(decided: Decided, facts: Facts): Verdict;
}

export function clear(deps: ClearDependencies, decided: Decided): Cleared | Promise<Cleared> {
  const { call, decision } = decided;
  // A resumed call never gets through by the rules alone: its hold is used, or it ends.
  const byRules = deps.ways.clearedBy[kindOf(decided)] === 'rules';
  if (byRules && decision.effect === 'deny') return refuseDenied(deps, decided);
  refuseByTask(decided, deps.clock.now());
  call.span = deps.tracing.admit({ receivedAt: call.receivedAt, decision });
  if (!byRules || decision.effect !== 'allow') return release(deps, decided);
  const allowed = (): Cleared => remember(deps, { ...decided, clearance: clearAllowed(decision) });
  return spend(deps.tasks, decided)?.then(allowed) ?? allowed();
}

/**
 * A meter denies a call also because the call itself was sent before, under this Idempotency-Key. Its agent must not
 * believe that nothing happened.
 */
function refuseDenied({ approvals }: ClearDependencies, decided: Decided): Promise<never> {
  const { principal, task, action, request, facts } = decided;
  const idempotencyKey = facts.meters && header(request.headers, 'idempotency-key');
  if (idempotencyKey === undefined) throw denial(decided);
  return approvals.sentBefore({ principal, action, idempotencyKey, ...defined({ task }) }).then((sent) => {
    throw sent ?? denial(decided);
  });
}

const NOBODY_WAITS = 'A rule holds this, and nobody waits for what the gateway asks of a server by itself.';
const FOR_ALL =
  'A rule holds this, and what concerns every server under a mount cannot be held: nobody could tell what ' +
  'would be approved.';

const handlerOf = ({ mount }: Decided) => (mount.kind === 'single' ? mount.handler : undefined);

async function release(deps: ClearDependencies, decided: Decided): Promise<Cleared> {
  const { call } = decided;
  const { streamed, body } = decided.action;
  if (streamed) throw new GatewayError('internal', 'A body that was not read cannot be held.');
  // A condition may need a larger body than a hold may keep.
  if ((body?.bytes.byteLength ?? 0) > call.runtime.heldBodyBytes)
    throw new GatewayError('payload_too_large', 'The body is larger than limits.heldBody.');
  const leftBehind = fieldsLeftBehind(decided);
  const admitted = call.span;
  const kind = kindOf(decided);
  if (deps.ways.hold[kind] === 'deny') throw new GatewayError('denied', kind === 'subcall' ? NOBODY_WAITS : FOR_ALL);
  await refuseSpent(deps.tasks, decided);
  const wait = await handlerOf(decided)?.onHold(decided, call.runtime.waitMs);
  let heldSince: EpochMs | undefined;
  let held: Held | undefined;
  let heldMs: number | undefined;
  const clearance = await deps.approvals
    .obtain({
      ...holdRequest(deps, decided, call.runtime.waitMs),
      leftBehind,
      ...(wait && { waitMs: wait.waitMs }),
      traceHold: (holdId) => {
        if (admitted === undefined) throw new GatewayError('internal', 'A hold needs the span of its call.');
        return deps.tracing.held(admitted, { ...factsOf(call.reached), holdId });
      },
      held: (hold) => {
        held = call.reach({ ...decided, hold });
        // From here on the hold itself reserves it.
        deps.metering.giveBack(call);
        heldSince = deps.clock.now();
        call.span = undefined;
        // Spans that stay open while people think would be lost in a crash. So the span of the call that opened the
        // hold ends here, and release continues its trace. The span of a call that comes back for a hold stays open and
        // tells how that call was answered.
        if (admitted?.ref.spanId === hold.trace.admit.spanId) admitted.end(factsOf(held));
        else call.answerSpan = admitted;
        wait?.begin(hold);
      },
      // First the place, which may take a while, then the judgement, then the claim: a call that gets no place keeps
      // its approval.
      async rejudge(approval) {
        await deps.takePlace(decided);
        if (held === undefined) throw new GatewayError('internal', 'No hold is judged before it is held.');
        const judged = await deps.rejudge(held, approval);
        await spend(deps.tasks, decided);
        return judged;
      },
    })
    .catch((thrown) => {
      if (wait?.cancelsOnClose) cancelAbandoned(deps, decided, asGatewayError(thrown));
      throw thrown;
    })
    .finally(() => {
      wait?.end();
      if (heldSince === undefined) return;
      heldMs = deps.clock.now() - heldSince;
      call.reach({ ...call.reached, heldMs });
    });
  const hold = clearance.kind === 'released' ? clearance.hold : undefined;
  const { decision } = clearance;
  const cleared = remember(deps, { ...decided, ...defined({ hold, heldMs }), decision, clearance });
  if (hold !== undefined) call.span = deps.tracing.release(hold);
  return cleared;
}

/**
 * Names of fields that the call would lose. Throws `field_not_bound`, before anybody is asked, when the call would be
 * another call without them. A resumed call goes out as it was held.
 */
function fieldsLeftBehind({ mount, request, action, resumes }: Decided): readonly string[] {
  if (resumes !== undefined || mount.kind === 'shared') return [];
  const { names, deciding } = mount.leftBehind(request.headers, action.boundHeaders);
  if (deciding.length === 0) return names;
  const detail =
    `This call needs an approval, and an approved call would go out without ${deciding.join(', ')}, which ` +
    'would change what it does.';
  throw new GatewayError('field_not_bound', detail, { members: { fields: deciding } });
}

/** Cancels the hold when its agent went away and by that gave the call up. */
function cancelAbandoned(
  { approvals }: ClearDependencies,
  { principal }: Decided,
  { code, details }: GatewayError,
): void {
  if (code !== 'client_closed' || details.holdId === undefined) return;
  // The hold may have ended in this moment.
  void approvals.cancel(details.holdId, principal).catch(() => {});
}

function holdRequest(
  { judgeOn }: ClearDependencies,
  decided: Decided,
  longestWaitMs: number,
): Omit<HoldRequest, 'leftBehind' | 'traceHold' | 'held' | 'rejudge'> {
  const { request, principal, action, actionDigest, formerActionDigest, decision, task, calls, facts, resumes } =
    decided;
  const prefer = waitPreference(request.headers);
  return {
    ...{ principal, action, actionDigest, decision, calls, facts },
    reserves: decided.call.reserved?.entries ?? [],
    on: (others) => judgeOn(decided, others),
    ...defined({
      formerActionDigest,
      task,
      idempotencyKey: header(request.headers, 'idempotency-key'),
      session: callSession(action, request.headers, principal),
      resumes: resumes?.holdId,
    }),
    waitMs: Math.min(prefer.waitMs ?? (prefer.respondAsync ? 0 : longestWaitMs), longestWaitMs),
    onClosed: (callback) => request.onClosed(callback),
  };
}

function denial({ decision }: Decided): GatewayError {
  const { reasons, because, messages } = decision;
  const members = { reasons, ...defined({ because }) };
  return reasons.includes('no_matching_rule')
    ? new GatewayError('no_matching_rule', 'No rule allows this call.', { members })
    : new GatewayError('denied', `Policy denies this call.${becauseWords(because)}${messageWords(messages)}`, {
        members,
      });
}

function remember({ history }: ClearDependencies, cleared: Cleared): Cleared {
  cleared.call.reach(cleared);
  history.begin(cleared);
  return cleared;
}
