// What the steps of approvals/ share: the ports they were given and the waits in progress.

import type { AgentLimits } from '../domain/agent-limits.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Hold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Suspendable } from '../domain/suspension.ts';
import type { Tracing } from '../domain/trace.ts';
import { GatewayError } from '../errors.ts';
import type { FirstViews } from './first-views.ts';
import { advance, type HoldEvent, hasRunOut } from './machine.ts';
import type { ReviewerStatus } from './voting.ts';
import type { HoldWaits } from './waiting.ts';

export interface ApprovalsOptions extends ReviewerStatus {
  /** The store. Its clock alone decides deadlines. */
  readonly store: HoldStore;
  readonly audit: AuditLog;
  readonly tracing: Pick<Tracing, 'reviewed'>;
  readonly metrics: Pick<Metrics, 'holdEnded' | 'reviewed'>;
  readonly log: Logger;
  /** Random id of this process. At `start`, holds that other processes claimed are swept. */
  readonly instance: string;
  /** How much one agent may have; read anew for each new hold. */
  limits(): AgentLimits;
  /** Throws `principal_suspended` when a suspension covers this call now. */
  refuseSuspended(call: Suspendable): void;
}

export interface ApprovalContext extends ApprovalsOptions {
  readonly waiting: HoldWaits;
  readonly firstViews: FirstViews;
}

/** The hold as it stands now: EXPIRED if its clock has run out. Throws `hold_not_found`. */
export async function look(context: ApprovalContext, id: string): Promise<Hold> {
  const hold = await context.store.get(id);
  if (hold === undefined) throw new GatewayError('hold_not_found', 'There is no such hold.', { holdId: id });
  return hasRunOut(hold, context.store.now()) ? expireIfDue(context, id) : hold;
}

/** Makes the hold EXPIRED if its clock has run out, and leaves it as it is otherwise. */
export async function expireIfDue(context: ApprovalContext, id: string): Promise<Hold> {
  const { hold } = await context.store.change(id, (seen, now) => ({
    ...(hasRunOut(seen, now) ? { next: advance(seen, { type: 'expire' }, now) } : {}),
    answer: undefined,
  }));
  return hold;
}

/** Tells the second group, once, when its time has come. The group may vote from then on even if it is told later. */
export async function escalateIfDue(context: ApprovalContext, id: string): Promise<void> {
  await context.store.change(id, (seen, now) => {
    const due =
      seen.state === 'PENDING' && !hasRunOut(seen, now) && seen.escalateAt !== undefined && seen.escalateAt <= now;
    return { ...(due ? { next: advance(seen, { type: 'escalate' }, now) } : {}), answer: undefined };
  });
}

/**
 * Applies an event in one transaction. `event` sees the hold there, and throws to refuse. If the hold's clock has run
 * out, the hold becomes EXPIRED and the event is refused with `hold_closed`.
 */
export async function apply(context: ApprovalContext, id: string, event: (hold: Hold) => HoldEvent): Promise<Hold> {
  const { hold, answer } = await context.store.change(id, (seen, now) => {
    if (hasRunOut(seen, now)) return { next: advance(seen, { type: 'expire' }, now), answer: 'expired' as const };
    return { next: advance(seen, event(seen), now), answer: 'applied' as const };
  });
  if (answer === 'expired')
    throw new GatewayError('hold_closed', 'The hold expired before this could apply to it.', { holdId: id });
  return hold;
}
