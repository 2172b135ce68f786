// settle: runs for every call, however it ended. Takes the credential back, writes the outcome where it will be
// believed, and closes what is open. It never throws and never makes the agent wait: the answer has gone out already.

import type { Approvals, Outcome } from '../domain/approvals.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { CallFacts } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Broker, Credential } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Call, Cleared } from '../domain/stages.ts';
import type { SpanRef } from '../domain/trace.ts';
import type { AgentCalls, UpstreamSlots } from './call-slots.ts';
import type { CallHistory } from './history.ts';
import type { OpenCalls } from './open-calls.ts';

export interface SettleDependencies {
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly history: Pick<CallHistory, 'record' | 'end'>;
  readonly openCalls: Pick<OpenCalls, 'leave'>;
  readonly agentCalls: Pick<AgentCalls, 'leave'>;
  readonly rooms: Pick<UpstreamSlots, 'leave'>;
  outcomeRecord(
    facts: CallFacts,
    ending: { readonly sent: boolean; readonly revoked?: boolean; readonly span?: SpanRef },
  ): JsonObject;
  /** The one line per call; from telemetry/call-line.ts. */
  callLine(facts: CallFacts, context: { readonly span?: SpanRef; readonly seconds: number }): Record<string, unknown>;
}

export async function settle(deps: SettleDependencies, call: Call): Promise<void> {
  const { facts, span } = call;
  deps.openCalls.leave(call);
  deps.agentCalls.leave(call);
  deps.rooms.leave(call);
  // First, and before anything is awaited: the agent has its answer and may follow it up at once.
  deps.history.record(call, facts.status);
  deps.history.end(call);
  if (call.cleared !== undefined) await close(deps, call, call.cleared);
  span?.end(facts, facts.error);
  call.answerSpan?.end(facts, facts.error);
  const seconds = (deps.clock.now() - facts.receivedAt - (facts.heldMs ?? 0)) / 1000;
  deps.metrics.call(facts, seconds);
  deps.log.info('countersign.call.completed', deps.callLine(facts, { seconds, ...(span && { span: span.ref }) }));
}

async function close(deps: SettleDependencies, call: Call, { clearance }: Cleared): Promise<void> {
  const { facts, span } = call;
  const revoked = call.credential?.exclusive ? await takeBack(deps.broker, call, call.credential) : undefined;
  // A credential that others share stays, unless the upstream refused it.
  if (call.credential?.exclusive === false && facts.upstreamStatus === 401) deps.broker.invalidate(call.credential);
  if (clearance.kind === 'released')
    facts.hold = (await deps.approvals.settle(clearance, outcomeOf(call))) ?? clearance.hold;
  const record = deps.outcomeRecord(facts, {
    sent: call.departed && call.neverArrived !== true,
    ...(revoked !== undefined && { revoked }),
    ...(span && { span: span.ref }),
  });
  try {
    await deps.audit.append('outcome', deps.clock.now(), record, clearance.kind === 'released' ? 'fsync' : 'soon');
  } catch {
    // The effect is done and cannot be taken back; the journal is closed now and refuses every further call.
    deps.log.error('countersign.audit.outcome_lost', { id: facts.id, decisionSeq: facts.auditSeq });
  }
}

/** Whether the call's own credential is revoked now. */
async function takeBack(broker: Broker, call: Call, credential: Credential): Promise<boolean> {
  const span = call.span?.child('revoke', call.facts);
  const revoked = await broker.release(credential);
  span?.end(call.facts, revoked ? undefined : 'credential_unavailable');
  return revoked;
}

function outcomeOf(call: Call): Outcome | 'not_sent' {
  if (!call.departed) return 'not_sent';
  if (call.sent !== undefined) return { status: call.sent.status, known: true };
  return { known: call.neverArrived === true };
}
