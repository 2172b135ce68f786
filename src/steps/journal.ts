// journal: the decision goes on record before any effect. Approved calls, and calls that get a credential of their own,
// wait until the record is on disk. Records of other allowed calls are written at once and reach the disk within a
// second.

import type { AuditLog, RecordText } from '../domain/audit.ts';
import { type CallFacts, factsOf } from '../domain/call-facts.ts';
import type { Clock } from '../domain/clock.ts';
import type { Broker } from '../domain/credential.ts';
import { shownClassification } from '../domain/facts.ts';
import type { Cleared, Decided, Journaled } from '../domain/stages.ts';
import type { SpanRef } from '../domain/trace.ts';
import type { PassedCall, WatchStore } from '../domain/watch.ts';

export interface JournalDependencies {
  readonly audit: AuditLog;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly watch: Pick<WatchStore, 'record'>;
  /** From audit/records.ts. */
  decisionRecord(facts: CallFacts, span?: SpanRef): RecordText;
}

export async function journal(deps: JournalDependencies, cleared: Cleared): Promise<Journaled> {
  const { call, clearance } = cleared;
  const durability = clearance.kind === 'released' || deps.broker.mintsAlone(clearance) ? 'fsync' : 'soon';
  const { seq } = await deps.audit.append(
    'decision',
    deps.clock.now(),
    deps.decisionRecord(factsOf(cleared), call.span?.ref),
    durability,
  );
  const journaled = call.reach({ ...cleared, auditSeq: seq } as Journaled);
  if (clearance.kind === 'allowed' && clearance.decision.notify !== undefined)
    await deps.watch.record(watchedCall(cleared), clearance.decision.notify);
  return journaled;
}

/**
 * Human on the loop: a call that passes without being asked about is on the list, and its notices are in the outbox,
 * before it has an effect.
 */
export function watchedCall({
  call,
  principal,
  action,
  actionDigest,
  decision,
  facts,
  task,
}: Pick<Decided, 'call' | 'principal' | 'action' | 'actionDigest' | 'decision' | 'facts' | 'task'>): Omit<
  PassedCall,
  'id' | 'at'
> {
  return {
    principalId: principal.id,
    ...(principal.agentKey !== principal.id && { agentKey: principal.agentKey }),
    onBehalfOf: principal.onBehalfOf.map(({ id }) => id),
    upstream: action.upstream,
    method: action.method,
    path: action.path,
    ...(action.tool !== undefined && { tool: action.tool }),
    actionDigest,
    rules: decision.rules.map(({ id }) => id),
    ...(task && { task: { id: task.id, root: task.root, revision: task.revision, objective: task.objective } }),
    ...shownClassification(facts, decision),
    ...(call.span && { traceId: call.span.ref.traceId }),
  };
}
