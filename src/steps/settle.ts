// settle: runs for every call, however it ended. Takes the credential back, writes the outcome where it will be
// believed, and closes what is open. It never throws and never makes the agent wait: the answer has gone out already.

import type { Approvals, Outcome } from '../domain/approvals.ts';
import type { AuditLog } from '../domain/audit.ts';
import { type CallFacts, factsOf, statusOf } from '../domain/call-facts.ts';
import type { Clearance } from '../domain/clearance.ts';
import type { Clock } from '../domain/clock.ts';
import type { Broker, Credential } from '../domain/credential.ts';
import { defined } from '../domain/defined.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { NoveltyStore } from '../domain/novelty.ts';
import type { Reached } from '../domain/stages.ts';
import type { SpanRef } from '../domain/trace.ts';
import type { CallMeters } from './call-meters.ts';
import type { AgentCalls, UpstreamSlots } from './call-slots.ts';
import type { FactWatch } from './fact-watch.ts';
import type { CallHistory } from './history.ts';
import type { OpenCalls } from './open-calls.ts';

export interface SettleDependencies {
  readonly approvals: Approvals;
  readonly audit: AuditLog;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly history: Pick<CallHistory, 'record'>;
  readonly factWatch: Pick<FactWatch, 'leave'>;
  readonly openCalls: Pick<OpenCalls, 'leave'>;
  readonly agentCalls: Pick<AgentCalls, 'leave'>;
  readonly metering: Pick<CallMeters, 'giveBack'>;
  readonly novelty: NoveltyStore;
  readonly slots: Pick<UpstreamSlots, 'leave'>;
  outcomeRecord(
    facts: CallFacts,
    ending: { readonly sent: boolean; readonly revoked?: boolean; readonly span?: SpanRef },
  ): JsonObject;
  /** The one line per call; from telemetry/call-line.ts. */
  callLine(facts: CallFacts, context: { readonly span?: SpanRef; readonly seconds: number }): Record<string, unknown>;
}

export async function settle(deps: SettleDependencies, last: Reached): Promise<void> {
  const { call, clearance } = last;
  deps.openCalls.leave(call);
  deps.agentCalls.leave(last);
  deps.slots.leave(last);
  deps.metering.giveBack(call);
  // First, and before anything is awaited: the agent has its answer and may follow it up at once.
  deps.history.record(last, statusOf(last));
  learn(deps.novelty, last);
  deps.factWatch.leave(last);
  const facts = clearance === undefined ? factsOf(last) : await close(deps, last, clearance);
  call.span?.end(facts);
  call.answerSpan?.end(facts);
  const seconds = (deps.clock.now() - facts.receivedAt - (facts.heldMs ?? 0)) / 1000;
  deps.metrics.call(facts, seconds);
  deps.log.info(
    'countersign.call.completed',
    deps.callLine(facts, { seconds, ...(call.span && { span: call.span.ref }) }),
  );
}

/** Only an answer below 400 that was passed on whole makes a call known. */
function learn(novelty: NoveltyStore, last: Reached): void {
  const { call, principal, action, facts, arrived, request, resumes, sent, error } = last;
  if (sent === undefined || sent.status >= 400 || call.failed) return;
  if (error !== undefined || call.cut !== undefined) return;
  const headers = resumes?.headers ?? (request ?? arrived)?.headers;
  if (principal === undefined || action === undefined || facts === undefined || headers === undefined) return;
  const { policy, noveltyWindowMs } = call.runtime;
  const known = policy.recognise({ principal, action, headers }, facts.classification);
  if (known !== undefined) novelty.record(principal.agentKey, known, noveltyWindowMs);
}

/** Ends what a cleared call has begun, and writes its outcome. */
async function close(deps: SettleDependencies, last: Reached, clearance: Clearance): Promise<CallFacts> {
  const { call, credential } = last;
  const revoked = credential?.exclusive ? await takeBack(deps.broker, last, credential) : undefined;
  // A credential that others share stays, unless the upstream refused it.
  if (credential?.exclusive === false && last.sent?.status === 401) deps.broker.invalidate(credential);
  const hold = clearance.kind === 'released' ? await deps.approvals.settle(clearance, outcomeOf(last)) : undefined;
  const facts = factsOf(hold === undefined ? last : { ...last, hold });
  const record = deps.outcomeRecord(facts, {
    sent: last.departed === true && !neverArrived(last),
    ...defined({ revoked, span: call.span?.ref }),
  });
  try {
    await deps.audit.append('outcome', deps.clock.now(), record, clearance.kind === 'released' ? 'fsync' : 'soon');
  } catch {
    // The effect is done and cannot be taken back. The journal is closed now and refuses every further call.
    deps.log.error('countersign.audit.outcome_lost', { id: facts.id, decisionSeq: facts.auditSeq });
  }
  return facts;
}

/** Whether the call's own credential is revoked now. */
async function takeBack(broker: Broker, last: Reached, credential: Credential): Promise<boolean> {
  const span = last.call.span?.child('revoke', () => factsOf(last));
  const revoked = await broker.release(credential);
  span?.end(revoked ? undefined : 'credential_unavailable');
  return revoked;
}

function outcomeOf(last: Reached): Outcome | 'not_sent' {
  if (last.departed !== true) return 'not_sent';
  if (last.sent !== undefined) return { status: last.sent.status, known: true };
  return { known: neverArrived(last) };
}

/** The call failed, and not one byte of it had gone out after all. */
const neverArrived = ({ departed, error }: Reached): boolean => departed === true && error?.executed === 'no';
