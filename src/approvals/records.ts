// What the audit log says of holds and votes: ids, digests, names and times. Never a body, an argument or a header.
//
// A vote is written twice. The `cast` record is on disk before the vote can take effect, so the log has every vote that
// is in force. A `counted` or `void` record follows and says what became of the vote. If nothing follows a `cast`, a
// crash lost either the vote or the second record. The hold's next record tells which: it lists the votes in force by
// reviewer and time.

import { defined } from '../domain/defined.ts';
import type { Hold, HoldProgress, Vote } from '../domain/hold.ts';
import type { JsonObject } from '../domain/json.ts';
import { rootOf } from '../domain/task.ts';
import { tiersOf } from '../domain/tier.ts';

export function holdRecord(hold: Hold): JsonObject {
  const { useBy, expiryReason, endedBecause, outcomeStatus }: HoldProgress = hold;
  return {
    ...identifiers(hold),
    state: hold.state,
    version: hold.version,
    requestDigest: hold.requestDigest,
    policyDigest: hold.policyDigest,
    decisionDigest: hold.decisionDigest,
    principal: hold.principal.id,
    onBehalfOf: hold.principal.onBehalfOf.map((party) => party.id),
    ...(hold.task === undefined
      ? {}
      : { task: hold.task.id, taskRevision: hold.task.revision, taskRoot: rootOf(hold.task) }),
    rules: hold.rules.map((rule) => rule.id),
    tiers: tiersOf(hold.requirements),
    deadline: hold.deadline,
    votes: hold.votes.map(({ reviewer, decision, at }) => ({ reviewer: reviewer.id, decision, at })),
    ...defined({ useBy, expiryReason, because: endedBecause, outcomeStatus }),
  };
}

/** `code` says why a vote is void; `state` is the hold's state after a vote that counted. */
export function voteRecord(
  hold: Hold,
  vote: Vote,
  phase:
    | { readonly phase: 'cast' }
    | { readonly phase: 'counted'; readonly state: string }
    | { readonly phase: 'void'; readonly code: string },
): JsonObject {
  return {
    ...identifiers(hold),
    ...phase,
    reviewer: vote.reviewer.id,
    decision: vote.decision,
    at: vote.at,
    ...(vote.reason === undefined ? {} : { reason: vote.reason }),
    ...(vote.reviewer.authenticatedAt === undefined ? {} : { authenticatedAt: vote.reviewer.authenticatedAt }),
    ...(vote.reviewer.acr === undefined ? {} : { acr: vote.reviewer.acr }),
    // Together with the digest and the names above, this is enough to verify the signature again.
    ...(vote.passkey === undefined || phase.phase !== 'cast' ? {} : { passkey: { ...vote.passkey } }),
    spanId: vote.span.spanId,
  };
}

function identifiers(hold: Hold): JsonObject {
  return {
    hold: hold.id,
    actionDigest: hold.actionDigest,
    bindingDigest: hold.bindingDigest,
    callTraceId: hold.trace.admit.traceId,
    approvalTraceId: hold.trace.approval.traceId,
  };
}
