// settle: runs for every call, however it ended. Takes the credential back, writes the outcome where it will be believed,
// and closes what is open. It never throws and never makes the agent wait: the answer has gone out already.

import type { Approvals, Outcome } from '../domain/approvals.ts';
import type { AuditLog } from '../domain/audit.ts';
import type { CallFacts } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Broker } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Call, Cleared } from '../domain/stages.ts';
import type { TaskStore } from '../domain/task.ts';

export interface SettleDependencies {
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tasks: TaskStore;
  outcomeRecord(facts: CallFacts): JsonObject;
  /** The one line per call; from telemetry/call-line.ts. */
  callLine(facts: CallFacts): Record<string, unknown>;
}

export async function settle(deps: SettleDependencies, call: Call): Promise<void> {
  const { facts } = call;
  if (call.cleared !== undefined) await close(deps, call, call.cleared);
  remember(deps.tasks, facts);
  call.span?.end(facts, facts.error);
  const durationMs = deps.clock.now() - facts.receivedAt;
  deps.metrics.call(facts, Math.max(0, durationMs - (facts.heldMs ?? 0)) / 1000);
  deps.log.info('countersign.call.completed', deps.callLine(facts));
}

async function close(deps: SettleDependencies, call: Call, cleared: Cleared): Promise<void> {
  const { facts } = call;
  const released = cleared.clearance.kind === 'released';
  if (call.credential?.exclusive === false && facts.upstreamStatus === 401) deps.broker.invalidate(call.credential);
  if (call.credential?.exclusive === true) {
    const span = call.span?.child('revoke', facts);
    const revoked = await deps.broker.release(call.credential);
    span?.end(facts, revoked ? undefined : 'credential_unavailable');
  }
  const ended = await deps.approvals.settle(cleared.clearance, outcomeOf(call));
  if (ended !== undefined) facts.hold = ended;
  try {
    await deps.audit.append('outcome', deps.clock.now(), deps.outcomeRecord(facts), released ? 'fsync' : 'soon');
  } catch {
    // The effect is done and cannot be taken back; the journal is closed now and refuses every further call.
    deps.log.error('countersign.audit.outcome_lost', { id: facts.id, decisionSeq: facts.auditSeq });
  }
}

function outcomeOf(call: Call): Outcome | 'not_sent' {
  if (!call.departed) return 'not_sent';
  if (call.sent !== undefined) return { status: call.sent.status, known: true };
  // Errors before a connection stood say that nothing arrived; after it, nobody knows.
  const neverArrived = call.facts.error === 'upstream_unreachable' || call.facts.error === 'upstream_tls' || call.facts.error === 'upstream_address_refused';
  return { known: neverArrived };
}

function remember(tasks: TaskStore, { task, action, decision, receivedAt, status }: CallFacts): void {
  if (task === undefined || action === undefined || decision === undefined) return;
  tasks.record(task.id, {
    at: receivedAt,
    upstream: action.upstream,
    method: action.method,
    path: action.path,
    ...(action.tool !== undefined && { tool: action.tool }),
    decision: decision.effect,
    ...(status !== undefined && { status }),
  });
}
