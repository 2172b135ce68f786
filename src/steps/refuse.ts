// refuse: how a call ends that does not come back from an upstream: on record, on the span, and in words to the agent.

import { factsOf } from '../domain/call-facts.ts';
import type { Logger } from '../domain/log.ts';
import type { FailedCall, Reached } from '../domain/stages.ts';
import type { Tracing } from '../domain/trace.ts';
import type { Violations } from '../domain/violation.ts';
import { ERRORS, GatewayError } from '../errors.ts';
import type { CallMeters } from './call-meters.ts';
import { type JournalDependencies, watchedCall } from './journal.ts';

export interface RefuseDependencies extends Pick<JournalDependencies, 'audit' | 'clock' | 'decisionRecord' | 'watch'> {
  readonly violations: Violations;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly metering: Pick<CallMeters, 'giveBack'>;
  /** Writes the problem document, or its MCP form, and gives the status that went out. From answer.ts. */
  answer(failed: Reached & FailedCall): number;
}

export async function refuse(deps: RefuseDependencies, last: Reached, thrown: GatewayError): Promise<void> {
  const { call } = last;
  // Before the agent has its answer and may send the next call.
  deps.metering.giveBack(call);
  const failed = call.reach({ ...last, error: withApproval(last, thrown) });
  const { error } = failed;
  // Held and released calls have spans of their own by now. Every other call gets its span here.
  if (call.span === undefined && failed.hold === undefined) call.span = deps.tracing.admit(factsOf(failed));
  if (error.code === 'internal') deps.log.error('countersign.call.failed', { id: call.id, cause: error.details.cause });
  // Cleared calls have their decision on record already and get an outcome in settle.
  if (failed.clearance === undefined && failed.principal !== undefined) await record(deps, failed);
  const counted = count(deps.violations, failed);
  // Without a turn in between: node's parser may refuse what follows on the connection, in other words.
  if (counted !== undefined) await counted;
  if (call.sink.started) call.sink.abort(error);
  else call.told = deps.answer(failed);
}

/**
 * For a call that failed between the claim of its approval and its first byte: the approval is used up, and the agent
 * has to know.
 */
function withApproval({ clearance, departed }: Reached, error: GatewayError): GatewayError {
  if (clearance?.kind !== 'released' || departed || error.details.holdId !== undefined) return error;
  const detail = `${error.detail} The approval of this call is spent.`;
  return new GatewayError(error.code, detail, { executed: 'no', ...error.details, holdId: clearance.hold.id });
}

/** What is counted is on disk, and what it brings about in force, before the agent has its answer. */
function count(
  { note }: Violations,
  { call, principal, mount, action, task, error }: Reached,
): undefined | Promise<void> {
  if (error === undefined || principal === undefined || mount === undefined || call.subcall !== undefined) return;
  const { violation } = ERRORS[error.code];
  if (violation === 'none' || error.details.holdId !== undefined) return;
  return note({ principal, action: action ?? { upstream: mount.name }, ...(task && { task }) }, violation);
}

async function record(deps: RefuseDependencies, failed: Reached): Promise<void> {
  const { call } = failed;
  try {
    const { seq } = await deps.audit.append(
      'decision',
      deps.clock.now(),
      deps.decisionRecord(factsOf(failed), call.span?.ref),
      'soon',
    );
    call.reach({ ...failed, auditSeq: seq });
    await show(deps, failed);
  } catch {
    // The refusal stands without its record. The journal has said so itself, and stops every call that would have an
    // effect.
  }
}

/** A rule that denies and notifies wants people to look. */
async function show(deps: RefuseDependencies, last: Reached): Promise<void> {
  const { principal, action, actionDigest, decision, facts } = last;
  if (decision?.effect !== 'deny' || decision.notify === undefined) return;
  if (principal === undefined || action === undefined || actionDigest === undefined || facts === undefined) return;
  const shown = { ...last, principal, action, actionDigest, decision, facts };
  await deps.watch.record({ ...watchedCall(shown), outcome: 'denied' }, decision.notify);
}
