// refuse: how a call ends that does not come back from an upstream: on record, on the span, and in words to the agent.

import { factsOf } from '../domain/call-facts.ts';
import type { Logger } from '../domain/log.ts';
import type { FailedCall, Reached } from '../domain/stages.ts';
import type { Tracing } from '../domain/trace.ts';
import { GatewayError } from '../errors.ts';
import type { CallMeters } from './call-meters.ts';
import type { JournalDependencies } from './journal.ts';

export interface RefuseDependencies extends Pick<JournalDependencies, 'audit' | 'clock' | 'decisionRecord'> {
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
  } catch {
    // The refusal stands without its record. The journal has said so itself, and stops every call that would have an
    // effect.
  }
}
