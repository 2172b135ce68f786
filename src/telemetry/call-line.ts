// The one log line of a call: who, what, what was decided, how it ended, how long it took, where to read on.
// Names, digests and numbers only: no header value, no query, no argument, no token.

import type { CallFacts } from '../domain/call-facts.ts';
import { isClassified } from '../domain/classification.ts';
import { historyOf } from '../domain/facts.ts';
import type { SpanRef } from '../domain/trace.ts';
import { decisionLabel, otherReasons } from './span-attributes.ts';

export interface CallLineContext {
  /** The span that the call ended in. */
  readonly span?: SpanRef;
  /** From arrival to end without the time held, seconds. */
  readonly seconds?: number;
}

/** The fields for `log.info('call', …)`; absent facts are absent fields. */
export function callLine(facts: CallFacts, { span, seconds }: CallLineContext = {}): Record<string, unknown> {
  const { principal, action, task, decision, hold, credential } = facts;
  const line: Record<string, unknown> = { call: facts.id, method: facts.method };
  const put = (name: string, value: unknown): void => {
    if (value !== undefined) line[name] = value;
  };
  put('agent', principal?.id);
  put('upstream', action?.upstream);
  put('path', action?.path);
  put('rpc', action?.mcp?.method);
  put('tool', action?.tool);
  put('action', facts.actionDigest);
  put('task', task?.id);
  put('task_root', task?.root);
  line.decision = decisionLabel(facts);
  put(
    'rules',
    decision?.rules.map((rule) => rule.id),
  );
  const { meters, novel } = historyOf(facts.facts);
  put('meters', meters);
  put('novel', novel);
  put('reasons', decision && otherReasons(decision));
  if (facts.facts !== undefined && isClassified(facts.facts.classification)) {
    put('data', facts.facts.classification.data);
    put('operation', facts.facts.classification.operation);
    put('environment', facts.facts.classification.environment);
  }
  put('destination', facts.facts?.destinations?.trust);
  put('tainted', named(facts.tainted));
  put('marked', named(facts.marked));
  put('policy', decision?.policyDigest);
  put('hold', hold?.id ?? facts.holdId);
  put('hold_state', hold?.state);
  put('credential', credential?.id);
  put('upstream_status', facts.upstreamStatus);
  put('missing_servers', facts.missingServers);
  put('status', facts.status);
  put('error', facts.error);
  put('ms', seconds === undefined ? undefined : Math.round(seconds * 1e6) / 1000);
  put('held_ms', facts.heldMs);
  put('audit_seq', facts.auditSeq);
  put('trace_id', span?.traceId);
  put('span_id', span?.spanId);
  return line;
}

/** An empty list says nothing. */
const named = (taints: readonly string[] | undefined) => (taints?.length ? taints : undefined);
