// journal: the decision goes on record before any effect. Calls that people approved, and calls that get a credential
// of their own, wait for the disk; calls that a rule lets through are written at once and reach the disk within a second.

import type { AuditLog } from '../domain/audit.ts';
import type { CallFacts } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Broker } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Cleared, Journaled } from '../domain/stages.ts';
import type { SpanRef } from '../domain/trace.ts';

export interface JournalDependencies {
  readonly audit: AuditLog;
  readonly broker: Broker;
  readonly clock: Clock;
  /** From audit/records.ts. */
  decisionRecord(facts: CallFacts, span?: SpanRef): JsonObject;
}

export async function journal(deps: JournalDependencies, cleared: Cleared): Promise<Journaled> {
  const { call, clearance } = cleared;
  const durability = clearance.kind === 'released' || deps.broker.mintsAlone(clearance) ? 'fsync' : 'soon';
  const { seq } = await deps.audit.append('decision', deps.clock.now(), deps.decisionRecord(call.facts, call.span?.ref), durability);
  call.facts.auditSeq = seq;
  return { ...cleared, auditSeq: seq } as Journaled;
}
