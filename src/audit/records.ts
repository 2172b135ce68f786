// What the audit record says of a call: who made it, on whose behalf, what it was, which rules matched, who approved
// it, which credential it had, and how it ended. Never arguments, bodies, queries, header values, tokens or secrets. A
// body is recorded as a digest with a salt of its own, so two records do not show whether their bodies were equal, and
// a guess can be checked only with the record itself.

import { randomUUID } from 'node:crypto';
import type { Action, ActionBody, Digest } from '../domain/action.ts';
import type { RecordText } from '../domain/audit.ts';
import type { CallFacts } from '../domain/call-facts.ts';
import { sha256 } from '../domain/canonical.ts';
import { type Classification, type Destinations, isClassified } from '../domain/classification.ts';
import { isoTime } from '../domain/clock.ts';
import type { Credential, OutstandingCredential } from '../domain/credential.ts';
import type { Decision } from '../domain/decision.ts';
import { historyOf } from '../domain/facts.ts';
import type { Hold, HoldProgress } from '../domain/hold.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Principal } from '../domain/principal.ts';
import type { SpanRef } from '../domain/trace.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * For `append('decision', …)`, before any effect. With an `error` the record is of a refusal, which has no outcome.
 * Without one the call was cleared, and an outcome must follow.
 */
export function decisionRecord(facts: CallFacts, span?: SpanRef): RecordText {
  const { principal, task, action, decision, hold } = facts;
  const { meters, novel } = historyOf(facts.facts);
  return recordText({
    call: JSON.stringify(facts.id),
    principal: principal && principalText(principal),
    task:
      task && JSON.stringify({ id: task.id, revision: task.revision, root: task.root, provenance: task.provenance }),
    action: action && actionText(action, facts.actionDigest),
    decision: decision && decisionText(decision),
    classification: facts.facts && classificationOf(facts.facts.classification),
    destinations: facts.facts?.destinations && destinationsText(facts.facts.destinations),
    meters: meters && JSON.stringify(meters),
    novel: novel && JSON.stringify(novel),
    tainted: facts.tainted && JSON.stringify(facts.tainted),
    hold: hold && JSON.stringify(approvalOf(hold)),
    error: facts.error && JSON.stringify(facts.error),
    trace: span && JSON.stringify(traceOf(span)),
  });
}

/**
 * Leaves out members without a value. The names are constants of this file: none needs escaping, and none belongs to
 * the envelope.
 */
function recordText(members: Readonly<Record<string, string | undefined>>): RecordText {
  let text = '';
  for (const name in members)
    if (members[name] !== undefined) text += `${text === '' ? '{' : ','}"${name}":${members[name]}`;
  return `${text}}` as RecordText;
}

/**
 * Writes a text once and keeps it: a verified token has one principal for all its calls, and policy has one decision
 * for all calls that the same rules match.
 */
const principalText = writtenOnce((principal: Principal) => {
  const { id, agentKey, issuer, spiffeId, proof, onBehalfOf } = principal;
  return JSON.stringify({
    ...{ id, agentKey: agentKey === id ? undefined : agentKey, issuer, spiffeId, proof },
    onBehalfOf: onBehalfOf.map((party) => party.id),
  });
});

const decisionText = writtenOnce((decision: Decision) =>
  JSON.stringify({
    effect: decision.effect,
    rules: decision.rules.map(({ id, effect, why }) => ({ id, effect, why })),
    reasons: decision.reasons,
    requirements: decision.requirements.map(({ tier, count, owner, reviewers }) =>
      owner ? { tier, count, owners: reviewers } : { tier, count },
    ),
    policyDigest: decision.policyDigest,
    decisionDigest: decision.decisionDigest,
    credential: decision.credential?.name,
  }),
);

/** Undefined where the configuration says nothing of the call: its method says the rest. */
const classificationOf = (classification: Classification): string | undefined =>
  isClassified(classification) ? classificationText(classification) : undefined;

const classificationText = writtenOnce((classification: Classification) => {
  const { resources, data, reversible, environment, operation, owners } = classification;
  return JSON.stringify({ resources, data, reversible, environment, operation, owners });
});

/** Places that a record names. The least trusted come first. */
const MOST_PLACES = 50;

/** Hosts and trust. What the call says of a place besides its host is not recorded. */
const destinationsText = writtenOnce(({ trust, targets, mentions, unknown }: Destinations) => {
  const places = [...targets, ...mentions].map(({ host, trust: how, role }) => ({ host, trust: how, role }));
  const more = places.length > MOST_PLACES ? places.length - MOST_PLACES : undefined;
  return JSON.stringify({ trust, places: places.slice(0, MOST_PLACES), more, unknown });
});

function writtenOnce<T extends object>(write: (value: T) => string): (value: T) => string {
  const texts = new WeakMap<T, string>();
  return (value) => {
    const known = texts.get(value);
    if (known !== undefined) return known;
    const text = write(value);
    texts.set(value, text);
    return text;
  };
}

function actionText(
  { upstream, authority, method, path, upgrade, mcp, tool, body }: Action,
  digest: Digest | undefined,
): string {
  return JSON.stringify({
    digest,
    upstream,
    authority,
    method,
    path,
    upgrade: upgrade && 'websocket',
    rpc: mcp?.method,
    tool,
    body: body && saltedBody(body),
  });
}

export interface CallEnding {
  /** Whether the first byte may have gone upstream. */
  readonly sent: boolean;
  /** Whether the call's own credential was taken back; absent when there was nothing to take back. */
  readonly revoked?: boolean;
  readonly span?: SpanRef;
}

/** For `append('outcome', …)`, when the call has ended. */
export function outcomeRecord(facts: CallFacts, { sent, revoked, span }: CallEnding): JsonObject {
  const { principal, hold, credential } = facts;
  return compact({
    call: facts.id,
    agent: principal?.id,
    actionDigest: facts.actionDigest,
    effect: facts.decision?.effect,
    sent,
    status: facts.status,
    upstreamStatus: facts.upstreamStatus,
    marked: facts.marked,
    error: facts.error,
    serverRequests: facts.serverRequests,
    missingServers: facts.missingServers,
    heldMs: facts.heldMs,
    hold:
      hold &&
      compact({
        id: hold.id,
        state: hold.state,
        bindingDigest: hold.bindingDigest,
        because: becauseOf(hold),
      }),
    credential: credential && compact({ ...credentialOf(credential), revoked }),
    trace: span && traceOf(span),
  });
}

function approvalOf(hold: Hold): JsonObject {
  return compact({
    id: hold.id,
    state: hold.state,
    agent: hold.principal.id,
    actionDigest: hold.actionDigest,
    bindingDigest: hold.bindingDigest,
    votes: hold.votes.map((vote) => ({
      reviewer: vote.reviewer.id,
      decision: vote.decision,
      at: isoTime(vote.at),
      bindingDigest: vote.bindingDigest,
    })),
    because: becauseOf(hold),
  });
}

const becauseOf = ({ endedBecause, expiryReason }: HoldProgress): string | undefined => endedBecause ?? expiryReason;

export type CredentialEvent = 'issued' | 'revoked' | 'revoke_failed' | 'expired';

/**
 * For `append('credential', …)`: what happens to a credential apart from a call's own end, such as the sweep at start.
 */
export function credentialRecord(
  event: CredentialEvent,
  credential: Pick<OutstandingCredential, 'id' | 'name' | 'provider' | 'holdId' | 'taskId' | 'expiresAt'>,
  error?: ErrorCode,
): JsonObject {
  const { id, name, provider, holdId, taskId, expiresAt } = credential;
  return compact({
    event,
    credential: compact({ id, name, provider, expires: expiresAt === undefined ? undefined : isoTime(expiresAt) }),
    hold: holdId,
    task: taskId,
    error,
  });
}

function credentialOf({
  id,
  name,
  provider,
  expiresAt,
  revocability,
  granted,
  exclusive,
}: Credential): Record<string, Json | undefined> {
  return {
    id,
    name,
    provider,
    expires: expiresAt === undefined ? undefined : isoTime(expiresAt),
    revocability,
    granted,
    exclusive,
  };
}

/** SHA-256 over the text of the salt followed by the hex text of the body's digest. */
function saltedBody({ bytes, digest }: ActionBody): JsonObject {
  // A version 4 UUID: 122 random bits, from a pool that is filled ahead.
  const salt = randomUUID();
  return { length: bytes.length, salt, digest: sha256(salt + digest) };
}

function traceOf({ traceId, spanId }: SpanRef): JsonObject {
  return { traceId, spanId };
}

/** Members without a value are left out when the record is written: JSON has no `undefined`. */
function compact(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return members as JsonObject;
}
