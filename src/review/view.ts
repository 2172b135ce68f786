// A hold as the reviewers' API shows it: the whole action, who asks, what is required, who has voted, and what this
// reader may do. A single hold is shown whole, and nothing is cut. In a list, holds come without bodies and without the
// words of task and tool. Not shown: nonce, claim, trace contexts and the Idempotency-Key, since no decision needs
// them.

import { assuranceOf } from '../domain/assurance.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Requirement } from '../domain/decision.ts';
import { type Facts, historyOf } from '../domain/facts.ts';
import type { HeaderList } from '../domain/headers.ts';
import { heldArguments } from '../domain/held-arguments.ts';
import type { HeldAction, HeldContent, HeldPrincipal, HeldTaskWords, Hold, HoldProgress } from '../domain/hold.ts';
import type { Party } from '../domain/principal.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { taintsOf } from '../domain/taint.ts';
import { rootOf } from '../domain/task.ts';
import { type Escalation, OWNER } from '../domain/tier.ts';
import { viewMark } from './facts.ts';
import { type Eligibility, permissionsOf } from './permissions.ts';

/** RFC 3339 in UTC with milliseconds. */
const iso = (at: EpochMs): string => new Date(at).toISOString();

/** The JSON of one whole hold, for one reader. `content` is undefined when it is no longer kept. */
export function viewWhole(
  eligibility: Eligibility,
  hold: Hold,
  content: HeldContent | undefined,
  reader: Reviewer,
  now: EpochMs,
) {
  const view = viewHold(eligibility, hold, reader, now);
  const { toolChange, toolWords, bodyText, task } = content ?? {};
  const args = content && heldArguments(content);
  const bodyKept = hold.action.bodyLength === 0 || bodyText !== undefined;
  return {
    ...view,
    action: { ...view.action, toolChange, toolWords, args, bodyText, bodyKept },
    task: view.task && { ...view.task, ...(task && viewTaskWords(task)) },
  };
}

/** The JSON of one hold in a list, for one reader. Members that do not apply are absent. */
export function viewHold(eligibility: Eligibility, hold: Hold, reader: Reviewer, now: EpochMs) {
  return {
    id: hold.id,
    state: hold.state,
    version: hold.version,
    bindingDigest: hold.bindingDigest,
    actionDigest: hold.actionDigest,
    action: viewAction(hold.action),
    credential: hold.action.credential,
    principal: viewPrincipal(hold.principal),
    task: hold.task && { ...hold.task, root: rootOf(hold.task), provenance: hold.task.provenance ?? 'declared' },
    rules: hold.rules,
    requirements: hold.requirements.map((requirement) => viewRequirement(requirement, hold.createdAt, now)),
    session: hold.session && { by: hold.session.by },
    notified: hold.notify,
    data: hold.data,
    reversible: hold.reversible,
    facts: hold.facts && viewFacts(hold.facts),
    policyDigest: hold.policyDigest,
    decisionDigest: hold.decisionDigest,
    votes: hold.votes.map((vote) => ({
      reviewer: { id: vote.reviewer.id, name: vote.reviewer.name },
      decision: vote.decision,
      reason: vote.reason,
      at: iso(vote.at),
    })),
    createdAt: iso(hold.createdAt),
    deadline: iso(hold.deadline),
    ...viewProgress(hold),
    traceIds: { call: hold.trace.admit.traceId, approval: hold.trace.approval.traceId },
    youMay: permissionsOf(eligibility, hold, reader, now),
  };
}

/** What the configuration says of the call, where it leads, and what came before it. */
function viewFacts(facts: Facts) {
  const { classification, destinations, tainted } = facts;
  const { resources, data, operation, reversible, environment, owners } = classification;
  return {
    ...{ resources, data, operation, reversible, environment, owners },
    destination: destinations?.trust,
    destinations: destinations && [...destinations.targets, ...destinations.mentions],
    destinationsUnknown: destinations?.unknown,
    tainted: tainted && taintsOf(tainted),
    marks: tainted?.map(viewMark),
    ...historyOf(facts),
  };
}

/** `from` is what the tier asks for, `reviewers` are the people whom that means for this call. */
function viewRequirement(requirement: Requirement, openedAt: EpochMs, now: EpochMs) {
  const { decideWithinMs, useWithinMs, escalate, owner, assurance: _, ...rest } = requirement;
  const { maxAgeMs, ...proof } = assuranceOf(requirement);
  const asked = { ...proof, ...(maxAgeMs !== undefined && { maxAgeSeconds: maxAgeMs / 1000 }) };
  return {
    ...rest,
    from: owner ? [OWNER] : requirement.reviewers,
    assurance: Object.keys(asked).length > 0 ? asked : undefined,
    decideWithinSeconds: decideWithinMs / 1000,
    useWithinSeconds: useWithinMs / 1000,
    escalate: escalate && viewEscalation(escalate, openedAt, now),
  };
}

/** Who else may vote, from when on, and whether that time has come. */
function viewEscalation({ afterMs, to }: Escalation, openedAt: EpochMs, now: EpochMs) {
  return { to, at: iso(openedAt + afterMs), inForce: now >= openedAt + afterMs };
}

function viewAction(action: HeldAction) {
  return {
    protocol: action.protocol,
    upstream: action.upstream,
    authority: action.authority,
    method: action.method,
    target: action.target,
    path: action.path,
    tool: action.tool,
    contentType: action.contentType,
    upgrade: action.upgrade,
    headers: viewHeaders(action.boundHeaders),
    leftBehind: action.leftBehind,
    bodyDigest: action.bodyDigest,
    bodyLength: action.bodyLength,
  };
}

function viewHeaders(headers: HeaderList): { name: string; value: string }[] {
  const fields = [];
  for (let i = 0; i + 1 < headers.length; i += 2)
    fields.push({ name: headers[i] as string, value: headers[i + 1] as string });
  return fields;
}

const viewParty = ({ id, issuer, subject, person, agentKey }: Party) => ({ id, issuer, subject, person, agentKey });

function viewPrincipal(principal: HeldPrincipal) {
  return {
    ...viewParty(principal),
    kind: principal.kind,
    trustDomain: principal.trustDomain,
    spiffeId: principal.spiffeId,
    keyThumbprint: principal.keyThumbprint,
    client: principal.client,
    name: principal.name,
    onBehalfOf: principal.onBehalfOf.map(viewParty),
    owners: principal.owners,
  };
}

function viewTaskWords({ objective, plan, labels, prompt, endsBy, calls }: HeldTaskWords) {
  return {
    objective,
    plan,
    labels,
    prompt,
    endsBy: endsBy && iso(endsBy),
    calls: calls.map((call) => ({ ...call, at: iso(call.at) })),
  };
}

function viewProgress(hold: HoldProgress) {
  const at = (time: EpochMs | undefined) => (time === undefined ? undefined : iso(time));
  return {
    approvedAt: at(hold.approvedAt),
    useBy: at(hold.useBy),
    sentAt: at(hold.sentAt),
    endedAt: at(hold.endedAt),
    expiryReason: hold.expiryReason,
    endedBecause: hold.endedBecause,
    outcomeStatus: hold.outcomeStatus,
  };
}
