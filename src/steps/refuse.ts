// refuse: how a call ends that does not come back from an upstream: on record, on the span, and in words to the agent.

import type { Logger } from '../domain/log.ts';
import type { Call } from '../domain/stages.ts';
import type { Tracing } from '../domain/trace.ts';
import { GatewayError } from '../errors.ts';
import type { JournalDependencies } from './journal.ts';

export interface RefuseDependencies extends Pick<JournalDependencies, 'audit' | 'clock' | 'decisionRecord'> {
  readonly log: Logger;
  readonly tracing: Tracing;
  /** Writes the problem document, or its MCP form, and gives the status that went out. From answer.ts. */
  answer(call: Call, error: GatewayError): number;
}

export async function refuse(deps: RefuseDependencies, call: Call, thrown: GatewayError): Promise<void> {
  const { facts } = call;
  const error = withApproval(call, thrown);
  // What the kill switch cut looks like an agent that went away.
  facts.error ??= error.code;
  if (error.details.holdId !== undefined) facts.holdId ??= error.details.holdId;
  // Held and released calls have spans of their own by now; everything else is refused at the door and gets its span
  // here.
  if (call.span === undefined && facts.hold === undefined) call.span = deps.tracing.admit(facts);
  if (error.code === 'internal')
    deps.log.error('countersign.call.failed', { id: facts.id, cause: error.details.cause });
  // Cleared calls have their decision on record already and get an outcome in settle.
  if (call.cleared === undefined && facts.principal !== undefined) await record(deps, call);
  if (call.sink.started) call.sink.abort(error);
  else facts.status = deps.answer(call, error);
}

/**
 * What failed between the claim of an approval and the call's first byte: the approval is used up, and the agent has to
 * know.
 */
function withApproval({ cleared, departed }: Call, error: GatewayError): GatewayError {
  if (cleared?.clearance.kind !== 'released' || departed || error.details.holdId !== undefined) return error;
  const detail = `${error.detail} The approval of this call is spent.`;
  return new GatewayError(error.code, detail, { executed: 'no', ...error.details, holdId: cleared.clearance.hold.id });
}

async function record(deps: RefuseDependencies, { facts, span }: Call): Promise<void> {
  try {
    const { seq } = await deps.audit.append(
      'decision',
      deps.clock.now(),
      deps.decisionRecord(facts, span?.ref),
      'soon',
    );
    facts.auditSeq = seq;
  } catch {
    // The refusal stands without its record; the journal has said so itself, and stops every call that would have an
    // effect.
  }
}
