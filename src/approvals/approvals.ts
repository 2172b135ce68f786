// The Approvals port over a HoldStore: it obtains clearances, takes votes, lets an approved call be sent once, and ends
// holds whose time has run out. Trusts the store for atomicity and time, and the audit log for the record. Refuses
// whatever it cannot do for certain.

import type { Approvals, Outcome } from '../domain/approvals.ts';
import { isBoundToSession, mayUse } from '../domain/call-session.ts';
import type { EndedHold, Hold, HoldState, ReleasingHold } from '../domain/hold.ts';
import type { Principal } from '../domain/principal.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { callerDigest } from './binding.ts';
import { castVote, revokeHold } from './cast-vote.ts';
import { type ApprovalContext, type ApprovalsOptions, apply, escalateIfDue, expireIfDue, look } from './context.ts';
import { createFirstViews } from './first-views.ts';
import { advance, isEnded, isEndState } from './machine.ts';
import { obtain, sentBefore, told } from './obtain.ts';
import { holdRecord } from './records.ts';
import { createWaiting } from './waiting.ts';

const SWEEP_EVERY_MS = 500;
const SWEEP_BATCH = 200;

const notFound = (): GatewayError => new GatewayError('hold_not_found', 'There is no such hold of yours.');

/** Approvals, and the sweep that `start` runs on a timer. */
export type SweptApprovals = Approvals & {
  /** Ends holds whose clock ran out, and settles again those whose outcome the store did not accept. */
  sweep(): Promise<void>;
  /** How many requests wait for a decision now. */
  readonly waiting: number;
};

export function createApprovals(options: ApprovalsOptions): SweptApprovals {
  const context: ApprovalContext = { ...options, waiting: createWaiting(), firstViews: createFirstViews() };
  const { store, log } = context;
  const unsettled = new Map<string, { readonly released: ReleasingHold; readonly outcome: Outcome | 'not_sent' }>();
  const unsubscribe = store.subscribe(onChange);
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> | undefined;
  let closed = false;

  function onChange(hold: Hold, before: HoldState | undefined): void {
    if (hold.state !== 'PENDING') context.waiting.wake(hold.id);
    if (before !== undefined && !isEndState(before) && isEnded(hold)) onEnded(hold);
  }

  // Called once for every hold that ends, whatever ended it: a vote, a clock, a revision of its task, the sweep after a
  // crash.
  function onEnded(hold: EndedHold): void {
    context.metrics.holdEnded(hold.state, (hold.endedAt - hold.createdAt) / 1_000);
    if (hold.state === 'OUTCOME_UNKNOWN')
      log.error('hold.outcome_unknown', { hold: hold.id, upstream: hold.action.upstream, agent: hold.principal.id });
    context.audit.append('hold', hold.endedAt, holdRecord(hold), 'fsync').catch((thrown: unknown) => {
      log.error('approvals.ending_unrecorded', {
        hold: hold.id,
        state: hold.state,
        error: asGatewayError(thrown).code,
      });
    });
  }

  async function finish({ id, claim }: ReleasingHold, outcome: Outcome | 'not_sent'): Promise<Hold> {
    const changed = await store.change(id, (seen, now) => {
      if (outcome === 'not_sent' && seen.state === 'RELEASING')
        return { next: advance(seen, { type: 'abandon', claim }, now), answer: undefined };
      const { known, status } = outcome === 'not_sent' ? { known: true, status: undefined } : outcome;
      return {
        next: advance(seen, { type: 'finish', claim, known, ...(status === undefined ? {} : { status }) }, now),
        answer: undefined,
      };
    });
    return changed.hold;
  }

  async function settle(released: ReleasingHold, outcome: Outcome | 'not_sent'): Promise<Hold | undefined> {
    const { id } = released;
    try {
      const hold = await finish(released, outcome);
      unsettled.delete(id);
      return hold;
    } catch (thrown) {
      const { code } = asGatewayError(thrown);
      log.error('approvals.settle_failed', { hold: id, error: code });
      // Only this process knows the outcome, so it is kept until the store accepts it. After a crash the hold becomes
      // OUTCOME_UNKNOWN.
      if (code === 'store_unavailable') unsettled.set(id, { released, outcome });
      else unsettled.delete(id);
      return undefined;
    }
  }

  async function sweepNow(): Promise<void> {
    const failures: unknown[] = [];
    // A hold that cannot be ended, because its record is damaged, must not keep the sweep from all the others.
    const attempt = (step: Promise<unknown>) => step.catch((thrown: unknown) => void failures.push(thrown));
    for (let full = true; full && !closed; ) {
      const due = await store.due(SWEEP_BATCH);
      await Promise.all(due.map((id) => attempt(expireIfDue(context, id))));
      full = due.length === SWEEP_BATCH && failures.length === 0;
    }
    for (const id of await store.toEscalate(SWEEP_BATCH)) await attempt(escalateIfDue(context, id));
    for (const { released, outcome } of [...unsettled.values()]) await settle(released, outcome);
    if (failures.length > 0) throw failures[0];
  }

  function sweepFailed(thrown: unknown): void {
    const { code, detail } = asGatewayError(thrown);
    log.error('approvals.sweep_failed', { error: code, detail });
  }

  function sweep(): Promise<void> {
    sweeping ??= sweepNow()
      .catch(sweepFailed)
      .finally(() => {
        sweeping = undefined;
      });
    return sweeping;
  }

  async function sweepOrphan(id: string): Promise<void> {
    await store.change(id, (seen, now) => {
      if (seen.state === 'RELEASING')
        return { next: advance(seen, { type: 'abandon', claim: seen.claim }, now), answer: undefined };
      if (seen.state === 'SENT')
        return { next: advance(seen, { type: 'finish', claim: seen.claim, known: false }, now), answer: undefined };
      return { answer: undefined };
    });
  }

  async function own(id: string, principal: Principal): Promise<Hold> {
    const hold = await store.get(id);
    if (hold === undefined || hold.principal.id !== principal.id || hold.principal.issuer !== principal.issuer) {
      throw notFound();
    }
    return look(context, id);
  }

  return {
    async obtain(request) {
      if (closed) throw new GatewayError('draining', 'This gateway takes no more calls.');
      return obtain(context, request);
    },
    sentBefore: (request) => sentBefore(context, request),
    async markSent(clearance) {
      if (clearance.kind === 'allowed') return;
      await store.change(clearance.hold.id, (seen, now) => {
        // The last check before sending: nothing is marked as sent for an agent or a task that was suspended since the
        // claim.
        context.refuseSuspended(seen);
        return { next: advance(seen, { type: 'send', claim: clearance.hold.claim }, now), answer: undefined };
      });
    },
    async settle(clearance, outcome) {
      return clearance.kind === 'allowed' ? undefined : settle(clearance.hold, outcome);
    },
    async view(id, principal, waitMs) {
      const hold = await own(id, principal);
      if (hold.state !== 'PENDING' || waitMs <= 0) return hold;
      const wait = context.waiting.start(id, waitMs);
      try {
        const seen = await look(context, id);
        if (seen.state !== 'PENDING') return seen;
        await wait.wake;
        return await look(context, id);
      } finally {
        wait.cancel();
      }
    },
    async recall(id, principal) {
      const hold = await own(id, principal);
      if (callerDigest(hold.principal) !== callerDigest(principal)) throw notFound();
      if (hold.state === 'PENDING' || hold.state === 'APPROVED') return { hold };
      return { hold, ending: await told(context, hold) };
    },
    async cancel(id, principal) {
      await own(id, principal);
      return apply(context, id, () => ({ type: 'cancel' }));
    },
    async endSession(principal, mount, session) {
      let after: string | undefined;
      do {
        const page = await store.list({
          principalId: principal.id,
          states: ['PENDING', 'APPROVED'],
          limit: 200,
          ...(after !== undefined && { after }),
        });
        const ending = page.holds.filter(
          (hold) =>
            isBoundToSession(hold.requirements) &&
            mayUse(hold, session) &&
            hold.principal.issuer === principal.issuer &&
            readUpstreamName(hold.action.upstream).mount === mount,
        );
        // One that ends by itself in this moment is no fault.
        await Promise.allSettled(ending.map(({ id }) => apply(context, id, () => ({ type: 'cancel' }))));
        after = page.next;
      } while (after !== undefined);
    },
    opened: (id, reviewer) => context.firstViews.note(id, reviewer.id, store.now()),
    vote: (id, reviewer, ballot) => castVote(context, id, reviewer, ballot),
    revoke: (id, reviewer, reason) => revokeHold(context, id, reviewer, reason),
    async start() {
      // One damaged record must not keep the gateway from starting: nobody can send that call again in any case.
      await Promise.all((await store.orphans(context.instance)).map((id) => sweepOrphan(id).catch(sweepFailed)));
      await sweep();
      timer = setInterval(sweep, SWEEP_EVERY_MS).unref();
    },
    sweep,
    get waiting() {
      return context.waiting.size;
    },
    drain: () => context.waiting.drain(),
    close() {
      closed = true;
      clearInterval(timer);
      context.waiting.drain();
      unsubscribe();
    },
  };
}
