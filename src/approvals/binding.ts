// The digests that tie an approval to one action of one caller, and that recognise a request sent again. Trusts no
// shape of what is hashed: the label and RFC 8785 keep any two different tuples apart.

import type { Action, Digest } from '../domain/action.ts';
import { type CallSession, isBoundToSession } from '../domain/call-session.ts';
import { canonicalDigest, sha256 } from '../domain/canonical.ts';
import type { Facts } from '../domain/facts.ts';
import { type HeaderList, withoutField } from '../domain/headers.ts';
import type { Hold } from '../domain/hold.ts';
import { approvedFields, bindsSession } from '../domain/mcp-session.ts';
import type { Party } from '../domain/principal.ts';
import { boundTask, type Task } from '../domain/task.ts';

/** What a vote is bound to. */
export type BindingFacts = Pick<
  Hold,
  'actionDigest' | 'principal' | 'requirements' | 'decisionDigest' | 'factsDigest' | 'nonce' | 'deadline'
> & {
  readonly task?: Pick<Task, 'id' | 'revision'> & Partial<Pick<Task, 'provenance'>>;
  readonly session?: CallSession;
};

/**
 * The caller as approvals tell callers apart. Token ids, times and claims are left out: they change with every token.
 */
export interface Caller extends Party {
  readonly spiffeId?: string;
  readonly keyThumbprint?: string;
  readonly onBehalfOf: readonly Party[];
}

/**
 * What the configuration says that a call is and where it leads. A reload that changes it changes the digest; one that
 * is about other calls does not.
 */
export function factsDigest({ classification, destinations }: Pick<Facts, 'classification' | 'destinations'>): Digest {
  return canonicalDigest('countersign/facts/v1', { classification, destinations: destinations ?? null });
}

/**
 * The digest that a reviewer's vote names, and that a release is checked against. A hold of an earlier version binds no
 * facts, and has the digest of that version.
 */
export function bindingDigest(facts: BindingFacts): Digest {
  const { factsDigest: digest } = facts;
  const task = boundTask(facts.task);
  return canonicalDigest(digest === undefined ? 'countersign/hold/v1' : 'countersign/hold/v2', {
    actionDigest: facts.actionDigest,
    principal: boundCaller(facts.principal),
    task: task === undefined ? null : { id: task.id, revision: task.revision },
    decisionDigest: facts.decisionDigest,
    nonce: facts.nonce,
    deadline: facts.deadline,
    // Left out where it is not bound, so that the digest of such a hold stays as it was before this member existed.
    ...(digest !== undefined && { factsDigest: digest }),
    ...(isBoundToSession(facts.requirements) && { session: facts.session ?? null }),
  });
}

/**
 * Recognises the identical request: the same caller, task and action. The policy, the task's revision, the
 * Idempotency-Key and the MCP session may differ. An approval for one digest is never used for another.
 */
export function requestDigest(caller: Caller, taskId: string | undefined, action: Action): Digest {
  return requestDigestOver(approvedFields(action), caller, taskId, action);
}

/**
 * The request's digest as earlier versions made it, with the MCP session in it; undefined for a request without a
 * session.
 */
export function formerRequestDigest(caller: Caller, taskId: string | undefined, action: Action): Digest | undefined {
  return bindsSession(action) ? requestDigestOver(action.boundHeaders, caller, taskId, action) : undefined;
}

function requestDigestOver(fields: HeaderList, caller: Caller, taskId: string | undefined, action: Action): Digest {
  return canonicalDigest('countersign/request/v1', {
    principal: boundCaller(caller),
    task: taskId ?? null,
    method: action.method,
    upstream: action.upstream,
    authority: action.authority,
    target: action.target,
    contentType: action.contentType ?? null,
    headers: withoutField(fields, 'idempotency-key'),
    bodyDigest: action.body?.identity ?? bodyDigestOf(action),
    tool: action.tool ?? null,
    ...(action.upgrade && { upgrade: { ...action.upgrade } }),
  });
}

/** One value for each caller: an approval takes two callers for the same exactly when these values are equal. */
export function callerDigest(caller: Caller): Digest {
  return canonicalDigest('countersign/caller/v1', boundCaller(caller));
}

/** SHA-256 of the body; an empty body has the digest of no bytes. */
export function bodyDigestOf(action: Action): Digest {
  return action.body?.digest ?? sha256('');
}

function boundCaller(caller: Caller) {
  return {
    id: caller.id,
    issuer: caller.issuer,
    // Left out when absent, so that the digest of a caller without it stays as it was before this member existed.
    ...(caller.spiffeId !== undefined && { spiffeId: caller.spiffeId }),
    keyThumbprint: caller.keyThumbprint ?? null,
    onBehalfOf: caller.onBehalfOf
      .filter(({ by }) => by === undefined)
      .map(({ id, issuer, subject }) => ({ id, issuer, subject })),
  };
}
