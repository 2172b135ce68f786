// What spans say of a call, built once, when a span ends, from the call's facts. Refuses by construction: no header
// value but two protocol versions and ids, no query, no body, no argument, no name of a person.

import type { Attributes } from '@opentelemetry/api';
import type { CallFacts } from '../domain/call-facts.ts';
import { sha256 } from '../domain/canonical.ts';
import { isClassified } from '../domain/classification.ts';
import type { Decision, Reason } from '../domain/decision.ts';
import { type Facts, historyOf } from '../domain/facts.ts';
import { header } from '../domain/headers.ts';
import type { Hold } from '../domain/hold.ts';
import { agentKeyOf, type NamedAgent } from '../domain/person.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import { rootOf } from '../domain/task.ts';
import { ERRORS, type ErrorCode } from '../errors.ts';
import { ATTR } from './names.ts';

export type DecisionLabel = 'allow' | 'hold' | 'deny' | 'error';
export type Scheme = 'http' | 'https';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);
const PLAIN_NAME = /^[\w.:/-]{1,64}$/;

/** A method for labels: one of the known ones, or `_OTHER` (HTTP semantic conventions). */
export function methodLabel(method: string): string {
  return METHODS.has(method) ? method : '_OTHER';
}

/** What was decided on a call; `error` when it ended before there was a decision. */
export function decisionLabel(facts: CallFacts): DecisionLabel {
  if (facts.hold !== undefined || facts.holdId !== undefined) return 'hold';
  // A question that the gateway answers itself is decided on by nobody.
  return facts.decision?.effect ?? (facts.error === undefined ? 'allow' : 'error');
}

/**
 * The grounds of a decision besides the rules that made it, which are named elsewhere; undefined where there are none.
 */
export function otherReasons({ reasons }: Decision): Reason[] | undefined {
  const others = reasons.filter((reason) => !reason.startsWith('rule:'));
  return others.length > 0 ? others : undefined;
}

/** Low-cardinality span name: words of an agent's choosing do not become names. */
export function callName(facts: CallFacts): string {
  const { action } = facts;
  if (action === undefined) return methodLabel(facts.method);
  const method = action.mcp?.method;
  if (method !== undefined && PLAIN_NAME.test(method)) {
    return action.tool !== undefined && PLAIN_NAME.test(action.tool) ? `${method} ${action.tool}` : method;
  }
  return `${methodLabel(facts.method)} /${action.upstream}`;
}

/** The same for the CLIENT span, where no route is known: the method alone (HTTP semantic conventions). */
export function clientName(facts: CallFacts): string {
  return facts.action?.mcp?.method === undefined ? methodLabel(facts.method) : callName(facts);
}

/** What every span of a call carries. */
export function commonAttributes(facts: CallFacts): Attributes {
  const attributes: Attributes = { [ATTR.decision]: decisionLabel(facts), [ATTR.callId]: facts.id };
  const { principal, action, actionDigest, decision } = facts;
  if (principal !== undefined) addAgent(attributes, principal);
  if (facts.task !== undefined) addTask(attributes, facts.task);
  if (action !== undefined) attributes[ATTR.upstream] = action.upstream;
  if (actionDigest !== undefined) attributes[ATTR.action] = actionDigest;
  if (decision !== undefined) {
    attributes[ATTR.policy] = decision.policyDigest;
    // An empty list is left out: receivers have been seen to throw a whole batch away for one.
    if (decision.rules.length > 0) attributes[ATTR.rules] = decision.rules.map((rule) => rule.id);
    const reasons = otherReasons(decision);
    if (reasons !== undefined) attributes[ATTR.reasons] = reasons;
  }
  if (facts.facts !== undefined) addClassification(attributes, facts.facts);
  const { meters, novel } = historyOf(facts.facts);
  if (meters !== undefined) attributes[ATTR.meters] = Object.entries(meters).map(([name, count]) => `${name}=${count}`);
  if (novel !== undefined) attributes[ATTR.novel] = [...novel];
  if (facts.tainted?.length) attributes[ATTR.tainted] = [...facts.tainted];
  if (facts.marked?.length) attributes[ATTR.marked] = [...facts.marked];
  const holdId = facts.hold?.id ?? facts.holdId;
  if (holdId !== undefined) attributes[ATTR.hold] = holdId;
  if (facts.credential !== undefined) attributes[ATTR.credential] = facts.credential.id;
  return attributes;
}

function addClassification(attributes: Attributes, { classification, destinations }: Facts): void {
  if (destinations !== undefined) attributes[ATTR.destination] = destinations.trust;
  if (!isClassified(classification)) return;
  const { resources, data, reversible, environment, operation } = classification;
  attributes[ATTR.effect] = operation;
  if (resources.length > 0) attributes[ATTR.resources] = [...resources];
  if (data !== undefined) attributes[ATTR.data] = data;
  if (reversible !== undefined) attributes[ATTR.reversible] = reversible;
  if (environment !== undefined) attributes[ATTR.environment] = environment;
}

function addAgent(attributes: Attributes, agent: NamedAgent): void {
  attributes[ATTR.agent] = agent.id;
  attributes[ATTR.agentKey] = agentKeyOf(agent);
}

function addTask(attributes: Attributes, task: Parameters<typeof rootOf>[0]): void {
  attributes[ATTR.task] = task.id;
  attributes[ATTR.taskRoot] = rootOf(task);
}

/** SERVER spans: admit and release. */
export function serverAttributes(facts: CallFacts, scheme: Scheme): Attributes {
  const attributes = commonAttributes(facts);
  const { request, action, hold } = facts;
  attributes[ATTR.method] = methodLabel(facts.method);
  attributes[ATTR.scheme] = scheme;
  if (facts.status !== undefined) attributes[ATTR.status] = facts.status;
  if (request !== undefined) {
    attributes[ATTR.path] = `/${request.mount}${request.path}`;
    if (request.query !== undefined) attributes[ATTR.query] = 'REDACTED';
    attributes[ATTR.clientAddress] = request.peer.address;
  }
  if (action !== undefined) {
    attributes[ATTR.route] = `/${readUpstreamName(action.upstream).mount}`;
    Object.assign(attributes, rpcAttributes(facts));
  }
  if (hold !== undefined) {
    attributes[ATTR.outcome] = hold.state;
    attributes[ATTR.approvalTrace] = hold.trace.approval.traceId;
    attributes[ATTR.callTrace] = hold.trace.admit.traceId;
  }
  if (facts.auditSeq !== undefined) attributes[ATTR.auditSeq] = facts.auditSeq;
  return attributes;
}

/** The CLIENT span of the forwarded call. The credential may travel in the query, so no URL is given. */
export function clientAttributes(facts: CallFacts): Attributes {
  const attributes = commonAttributes(facts);
  attributes[ATTR.method] = methodLabel(facts.method);
  if (facts.upstreamStatus !== undefined) attributes[ATTR.status] = facts.upstreamStatus;
  const { action } = facts;
  if (action !== undefined) {
    const { hostname, port } = splitAuthority(action.authority);
    attributes[ATTR.serverAddress] = hostname;
    if (port !== undefined) attributes[ATTR.serverPort] = port;
    attributes[ATTR.path] = action.path;
    Object.assign(attributes, rpcAttributes(facts));
  }
  return attributes;
}

/** Spans of minting and revoking. */
export function credentialAttributes(facts: CallFacts, nowMs: number): Attributes {
  const attributes = commonAttributes(facts);
  const { credential } = facts;
  if (credential === undefined) return attributes;
  attributes[ATTR.provider] = credential.provider;
  attributes[ATTR.revocability] = credential.revocability;
  if (credential.expiresAt !== undefined)
    attributes[ATTR.ttl] = Math.max(0, Math.round((credential.expiresAt - nowMs) / 1000));
  return attributes;
}

/** What spans say that are written from a hold alone, long after the call that made it. */
export function holdAttributes(hold: Hold): Attributes {
  const attributes: Attributes = {
    [ATTR.decision]: 'hold',
    [ATTR.upstream]: hold.action.upstream,
    [ATTR.action]: hold.actionDigest,
    [ATTR.policy]: hold.policyDigest,
    [ATTR.rules]: hold.rules.map((rule) => rule.id),
    [ATTR.hold]: hold.id,
    [ATTR.approvalTrace]: hold.trace.approval.traceId,
    [ATTR.callTrace]: hold.trace.admit.traceId,
  };
  addAgent(attributes, hold.principal);
  if (hold.task !== undefined) addTask(attributes, hold.task);
  return attributes;
}

/** Names a reviewer in telemetry without naming the person: the start of a hash of the id. */
export function reviewerRef(reviewerId: string): string {
  return sha256(reviewerId).slice(0, 16);
}

/** `error.type` of a SERVER span and whether its status is ERROR: only when the fault is on this side, 5xx. */
export function serverFailure({ error, status = 0 }: CallFacts): { readonly type?: string; readonly failed: boolean } {
  // An answer that broke off was begun with a good status, so the code's own status counts as well.
  const failed = status >= 500 || (error !== undefined && ERRORS[error].status >= 500);
  if (error !== undefined) return { type: error, failed };
  return failed ? { type: String(status), failed } : { failed };
}

/** The same for CLIENT spans: 4xx and above. */
export function clientFailure(
  facts: CallFacts,
  error: ErrorCode | undefined,
): { readonly type?: string; readonly failed: boolean } {
  if (error !== undefined) return { type: error, failed: true };
  const status = facts.upstreamStatus ?? 0;
  return status >= 400 ? { type: String(status), failed: true } : { failed: false };
}

function rpcAttributes({ action, request }: CallFacts): Attributes {
  if (action?.mcp?.method === undefined) return {};
  const attributes: Attributes = { [ATTR.rpcMethod]: action.mcp?.method };
  if (action.mcp?.id !== undefined) attributes[ATTR.rpcId] = String(action.mcp?.id);
  if (action.tool !== undefined) {
    attributes[ATTR.tool] = action.tool;
    attributes[ATTR.operation] = 'execute_tool';
  }
  if (request === undefined) return attributes;
  const session = header(request.headers, 'mcp-session-id');
  // A session id lets its holder act in the session: only its hash leaves.
  if (session !== undefined) attributes[ATTR.rpcSession] = sha256(session).slice(0, 16);
  const version = header(request.headers, 'mcp-protocol-version');
  if (version !== undefined && /^[\d-]{1,16}$/.test(version)) attributes[ATTR.rpcVersion] = version;
  return attributes;
}

function splitAuthority(authority: string): { readonly hostname: string; readonly port?: number } {
  const match = /^(.*):(\d{1,5})$/.exec(authority);
  return match?.[1] === undefined ? { hostname: authority } : { hostname: match[1], port: Number(match[2]) };
}
