// Limits on how often an agent may be refused. Counts in the store, by agent key; what a limit asks for is in force
// before the call that reached it has its answer. Trusts the verified caller and its task; no word of the agent's
// chooses what is suspended. Ends by itself.

import type { Approvals } from '../domain/approvals.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { Clock } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import { keyOf, type Suspendable, type Suspended, type Suspending } from '../domain/suspension.ts';
import type {
  Scope,
  ViolationCounter,
  ViolationKind,
  ViolationLimit,
  ViolationStore,
  Violations,
} from '../domain/violation.ts';
import { asGatewayError } from '../errors.ts';

export interface ViolationParts {
  /** As configured now. */
  limits(): readonly ViolationLimit[];
  readonly store: ViolationStore;
  readonly suspend: Suspending;
  revokeCredentials(whose: { readonly suspended: Suspended }): Promise<boolean>;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'violations'>;
}

export function createViolations(parts: ViolationParts): Violations {
  /** Of each counter that has reached its limit, what is being done about it. */
  const reacting = new Map<string, Promise<void>>();

  async function count(limit: ViolationLimit, place: string, refused: Suspendable): Promise<void> {
    const { count: most, withinMs, of } = limit;
    const { agentKey = refused.principal.id } = refused.principal;
    const counter = { limit: `${of} ${most} ${withinMs}`, agentKey };
    if ((await parts.store.count(counter, withinMs, most)) < most) return;
    const key = `${counter.limit} ${agentKey}`;
    let reaction = reacting.get(key);
    if (reaction === undefined) {
      reaction = react(limit, place, counter, refused).finally(() => reacting.delete(key));
      reacting.set(key, reaction);
    }
    await reaction;
  }

  async function react(
    { count: most, withinMs, of, reactions }: ViolationLimit,
    place: string,
    counter: ViolationCounter,
    refused: Suspendable,
  ): Promise<void> {
    const { notify, revokeCredentials, suspend } = reactions;
    const target = targetOf(suspend?.what ?? 'root', refused);
    const reason = `${most} calls of ${counter.agentKey} were refused within ${withinMs / 1000} s (${of}).`;
    const done =
      suspend && (await parts.suspend(target, { by: place, reason, until: parts.clock.now() + suspend.forMs }));
    // An issuer that is slow does not keep the agent waiting for its answer.
    if (suspend === undefined && revokeCredentials) void parts.revokeCredentials({ suspended: target });
    const subject = done?.suspension.id ?? place;
    await parts.store.reset(
      counter,
      { kind: 'violations.reached', subject, code: codeOf(subject), tier: place },
      notify,
    );
    const told = {
      ...{ limit: place, of, count: most, agent: counter.agentKey, target: keyOf(target) },
      ...(done && { suspension: done.suspension.id }),
    };
    parts.metrics.violations(of);
    parts.log.warn('countersign.violations.reached', told);
    await parts.audit.append('violation', parts.clock.now(), told, 'soon');
  }

  return {
    note(refused, kind) {
      const counting = parts.limits().flatMap((limit, index) => (counts(limit, kind) ? [[limit, index] as const] : []));
      if (counting.length === 0) return undefined;
      const counted = counting.map(([limit, index]) =>
        count(limit, `violations[${index}]`, refused).catch((thrown: unknown) =>
          parts.log.error('violations.not_counted', { error: asGatewayError(thrown).code }),
        ),
      );
      return Promise.all(counted).then(() => {});
    },
  };
}

/**
 * A hold that people denied counts once, however often its agent is told. The voter is answered when it is counted: what
 * has been answered is not lost in a crash.
 */
export function countingDenials<Part extends Pick<Approvals, 'vote'>>(approvals: Part, violations: Violations): Part {
  return {
    ...approvals,
    async vote(id, reviewer, ballot) {
      const hold = await approvals.vote(id, reviewer, ballot);
      if (hold.state === 'DENIED') await violations.note(hold, 'denied_by_people');
      return hold;
    },
  };
}

const counts = ({ of }: ViolationLimit, kind: ViolationKind): boolean => of === 'any' || of === kind;

/** The narrowest first: what is suspended stops everybody who shares it. */
function targetOf(scope: Scope, { principal, task }: Suspendable): Suspended {
  if (scope === 'root' && task !== undefined) return { task: task.ancestors?.[0] ?? task.id };
  const [person] = principal.onBehalfOf;
  if (scope !== 'agent' && person !== undefined) return { person: person.person ?? person.id };
  return { principal: principal.agentKey ?? principal.id };
}

/** The beginning of what is random in a suspension's id. */
const codeOf = (subject: string): string => subject.replace(/^susp_/, '').slice(0, 6);
