// What tests of holds are made of: a clock that the test moves, callers, actions, decisions, reviewers, and the request
// for an approval. Every function gives a complete value; a test names what differs.

import type { Action } from '../../../src/domain/action.ts';
import type { AgentLimits } from '../../../src/domain/agent-limits.ts';
import type { HoldRequest, Verdict } from '../../../src/domain/approvals.ts';
import { canonicalDigest, sha256 } from '../../../src/domain/canonical.ts';
import type { Clock } from '../../../src/domain/clock.ts';
import type { Decision, Requirement } from '../../../src/domain/decision.ts';
import type { Facts } from '../../../src/domain/facts.ts';
import type { Hold } from '../../../src/domain/hold.ts';
import type { Principal } from '../../../src/domain/principal.ts';
import type { Reviewer } from '../../../src/domain/reviewer.ts';
import type { PassedCall } from '../../../src/domain/watch.ts';
import { classified } from '../classified.ts';
import { transferAction } from '../clearances.ts';

/** Limits that no test meets unless it means to. */
export const GENEROUS: AgentLimits = {
  pendingPerAgent: 10_000,
  holdsPerHourPerAgent: 1_000_000,
  openTasksPerAgent: 1_000_000,
  storedBytesPerAgent: 2 ** 40,
};

/** A call that passed without a hold, for a watch channel. */
export function passedCallOf(principalId: string): Omit<PassedCall, 'id' | 'at'> {
  return {
    ...{ principalId, onBehalfOf: [], upstream: 'ledger', method: 'GET', path: '/' },
    actionDigest: 'd'.repeat(64),
    rules: ['r'],
  };
}

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(start = 1_800_000_000_000): ManualClock {
  let now = start;
  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}

const IDP = 'https://idp.example.org';

export function reviewerOf(
  subject: string,
  groups: readonly string[] = ['finance'],
  extra: Partial<Reviewer> = {},
): Reviewer {
  return { id: `${IDP}#${subject}`, issuer: IDP, subject, groups, ...extra };
}

export function requirementOf(extra: Partial<Requirement> = {}): Requirement {
  return {
    tier: 'finance',
    reviewers: ['group:finance'],
    count: 1,
    decideWithinMs: 15 * 60_000,
    useWithinMs: 2 * 60_000,
    stepUp: false,
    reasonRequired: false,
    ...extra,
  };
}

export function principalOf(extra: Partial<Principal> = {}): Principal {
  return {
    id: 'spiffe://prod.example.org/agent',
    issuer: 'spiffe://prod.example.org',
    subject: 'spiffe://prod.example.org/agent',
    kind: 'spiffe',
    agentKey: extra.id ?? 'spiffe://prod.example.org/agent',
    issuerName: 'prod',
    trustDomain: 'prod.example.org',
    proof: 'jwt-svid',
    claims: {},
    onBehalfOf: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
    ...extra,
  };
}

export function actionOf(extra: Partial<Action> = {}, text = '{"amount":5}'): Action {
  const bytes = Buffer.from(text);
  return {
    ...transferAction,
    contentType: 'application/json',
    boundHeaders: ['accept', 'application/json'],
    body: { bytes, digest: sha256(bytes) },
    ...extra,
  };
}

export function decisionOf(extra: Partial<Decision> = {}): Decision {
  return {
    effect: 'hold',
    rules: [{ id: 'pay', effect: 'hold', why: 'matched' }],
    reasons: ['rule:pay'],
    requirements: [requirementOf()],
    credential: { name: 'ledger-key', scope: {} },
    policyDigest: sha256('policy'),
    decisionDigest: sha256('decision'),
    ...extra,
  };
}

/** Stands for the digest of actions/: enough that other actions have other digests. */
export function actionDigestOf(action: Action, decision: Decision): string {
  const { body, ...rest } = action;
  return canonicalDigest('countersign/action/v1', {
    ...rest,
    body: body?.digest ?? null,
    rules: decision.rules.map((rule) => rule.id),
  });
}

export const SPAN = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };
export const TRACE = { admit: SPAN, approval: { ...SPAN, traceId: 'c'.repeat(32) } };

export interface RequestOptions extends Partial<HoldRequest> {
  /** Called with every hold that the request entered. */
  onHeld?(hold: Hold, isNew: boolean): void;
}

export const NO_FACTS: Facts = { classification: classified({ operation: 'write' }) };

/** For rules that read no fact. */
function sameOnAllFacts(this: Verdict): Verdict {
  return this;
}

/** A request whose second judgement finds everything as it was, unless it says otherwise. */
export function requestOf({ onHeld, ...extra }: RequestOptions = {}): HoldRequest {
  const principal = extra.principal ?? principalOf();
  const action = extra.action ?? actionOf();
  const decision = extra.decision ?? decisionOf();
  const actionDigest = extra.actionDigest ?? actionDigestOf(action, decision);
  const task = extra.task === undefined ? {} : { task: extra.task };
  return {
    calls: [],
    reserves: [],
    leftBehind: [],
    waitMs: 0,
    traceHold: () => TRACE,
    held: (hold, isNew) => onHeld?.(hold, isNew),
    rejudge: async (approval) => ({
      decision: { ...decision, effect: approval.satisfies(decision.requirements) ? 'allow' : 'hold' },
      principal,
      actionDigest,
      facts: NO_FACTS,
      on: sameOnAllFacts,
      ...task,
    }),
    facts: NO_FACTS,
    on: sameOnAllFacts,
    onClosed: () => () => {},
    ...extra,
    ...task,
    principal,
    action,
    decision,
    actionDigest,
  };
}
