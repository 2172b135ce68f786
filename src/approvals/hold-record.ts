// Makes the stored record of a call that policy wants held: the whole action, nothing cut off, everything bound. Trusts
// the action's digests (actions/). Refuses bodies that are not UTF-8 text: what cannot be shown cannot be approved.

import { randomBytes } from 'node:crypto';
import type { Action, Digest } from '../domain/action.ts';
import type { HoldRequest } from '../domain/approvals.ts';
import { defined } from '../domain/defined.ts';
import { shownClassification } from '../domain/facts.ts';
import { gistOf } from '../domain/gist.ts';
import type { HeldAction, HeldContent, HeldPrincipal, HeldTask, HeldTaskWords, NewHold } from '../domain/hold.ts';
import { approvedFields, bindsSession, sessionOf } from '../domain/mcp-session.ts';
import type { Party, Principal } from '../domain/principal.ts';
import type { Task, TaskCall } from '../domain/task.ts';
import { GatewayError } from '../errors.ts';
import { bodyDigestOf, factsDigest } from './binding.ts';

/**
 * `digest` is the requestDigest. `traceHold` is called here, once: the record keeps the spans to which release and
 * review link.
 */
export function recordHold(request: HoldRequest, digest: Digest, owners: readonly string[]): NewHold {
  const { decision, task, idempotencyKey } = request;
  if (decision.effect !== 'hold' || decision.requirements.length === 0)
    throw new TypeError(`a decision of ${decision.effect} is not held`);
  const action = heldAction(request);
  const id = `hold_${random128()}`;
  return {
    id,
    action,
    actionDigest: request.actionDigest,
    principal: heldPrincipal(request.principal, owners),
    ...(task === undefined ? {} : { task: heldTask(task) }),
    rules: decision.rules,
    requirements: decision.requirements,
    ...(request.session && { session: request.session }),
    facts: request.facts,
    factsDigest: factsDigest(request.facts),
    ...shownClassification(request.facts, decision),
    ...(decision.notify === undefined ? {} : { notify: decision.notify }),
    policyDigest: decision.policyDigest,
    decisionDigest: decision.decisionDigest,
    nonce: random128(),
    requestDigest: digest,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    trace: request.traceHold(id),
  };
}

/** 128 random bits in base64url: ids, nonces and claims. */
export function random128(): string {
  return randomBytes(16).toString('base64url');
}

/** What stands beside the record. Throws `unsupported_media_type`. */
export function heldContent({ action, task, calls }: HoldRequest): HeldContent {
  const bodyText = textOf(action);
  return {
    ...defined({ toolChange: action.mcp?.toolChange, toolWords: action.mcp?.toolWords, bodyText }),
    ...(action.args === undefined ? {} : { argsAt: placeOfArguments(action) }),
    ...(task === undefined ? {} : { task: taskWords(task, calls) }),
  };
}

function taskWords({ objective, plan, labels, endsBy }: Task, calls: readonly TaskCall[]): HeldTaskWords {
  return { objective, plan, labels, calls, ...(endsBy !== undefined && { endsBy }) };
}

/** A body is stored once: its arguments are part of it. */
function placeOfArguments({ tool, mcp }: Action): readonly string[] {
  if (tool !== undefined) return ['params', 'arguments'];
  return mcp?.method === undefined ? [] : ['params'];
}

function heldAction({ action, decision, leftBehind }: HoldRequest): HeldAction {
  if (action.streamed) throw new TypeError('an action whose body was not read is never held');
  return {
    protocol: action.protocol,
    upstream: action.upstream,
    authority: action.authority,
    method: action.method,
    target: action.target,
    path: action.path,
    ...(action.tool === undefined ? {} : { tool: action.tool }),
    ...(action.args === undefined ? {} : { gist: gistOf(action.args) }),
    ...(action.contentType === undefined ? {} : { contentType: action.contentType }),
    ...(action.upgrade && { upgrade: action.upgrade }),
    boundHeaders: approvedFields(action),
    ...(bindsSession(action) && { session: sessionOf(action.boundHeaders) }),
    ...(leftBehind.length > 0 && { leftBehind }),
    bodyDigest: bodyDigestOf(action),
    bodyLength: action.body?.bytes.byteLength ?? 0,
    ruleIds: decision.rules.map((rule) => rule.id),
    ...(decision.credential === undefined ? {} : { credential: decision.credential }),
  };
}

function textOf(action: Action): string | undefined {
  if (action.body === undefined || action.body.bytes.byteLength === 0) return undefined;
  try {
    // ignoreBOM keeps a byte order mark: the text shown has exactly the bytes that are sent.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(action.body.bytes);
  } catch (cause) {
    throw new GatewayError(
      'unsupported_media_type',
      'This call needs an approval, and its body is not UTF-8 text that a reviewer could read.',
      { cause },
    );
  }
}

export function heldPrincipal(principal: Principal, owners: readonly string[]): HeldPrincipal {
  const { kind, trustDomain, spiffeId, spiffeKey, keyThumbprint, client, name, onBehalfOf } = principal;
  return {
    ...heldParty(principal),
    kind,
    ...(trustDomain === undefined ? {} : { trustDomain }),
    ...(spiffeId === undefined ? {} : { spiffeId }),
    ...(spiffeKey === undefined ? {} : { spiffeKey }),
    ...(keyThumbprint === undefined ? {} : { keyThumbprint }),
    ...(client === undefined ? {} : { client }),
    ...(name === undefined ? {} : { name }),
    onBehalfOf: onBehalfOf.map(heldParty),
    owners,
  };
}

const heldParty = ({ id, issuer, subject, person, agentKey, by }: Party): Party => ({
  ...{ id, issuer, subject },
  ...(person === undefined ? {} : { person }),
  ...(agentKey === undefined || agentKey === id ? {} : { agentKey }),
  ...(by === undefined ? {} : { by }),
});

const LONGEST_HEADING = 200;

function heldTask({ id, revision, ancestors, provenance, objective }: Task): HeldTask {
  // Cut by code points, so that no character is cut in half.
  const letters = [...objective.slice(0, 2 * LONGEST_HEADING)];
  const cut = objective.length > 2 * LONGEST_HEADING || letters.length > LONGEST_HEADING;
  return {
    id,
    revision,
    ...(ancestors.length > 0 && { ancestors }),
    ...(provenance !== 'declared' && { provenance }),
    heading: cut ? `${letters.slice(0, LONGEST_HEADING).join('')}…` : objective,
  };
}
