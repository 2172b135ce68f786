// What tests of holds are made of: a clock they own, callers, actions and reviewers, and approvals over a real SQLite
// file in a folder of their own. The audit log is an array, so that a test can read it and can make it fail.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApprovals, type SweptApprovals } from '../../src/approvals/approvals.ts';
import { closeHold } from '../../src/approvals/closing.ts';
import type { ApprovalsOptions } from '../../src/approvals/context.ts';
import type { Action } from '../../src/domain/action.ts';
import type { AgentLimits } from '../../src/domain/agent-limits.ts';
import type { HoldRequest } from '../../src/domain/approvals.ts';
import type { AuditLog, AuditType } from '../../src/domain/audit.ts';
import { canonicalDigest, sha256 } from '../../src/domain/canonical.ts';
import type { Clearance } from '../../src/domain/clearance.ts';
import type { Clock } from '../../src/domain/clock.ts';
import type { Decision, Requirement } from '../../src/domain/decision.ts';
import type { Hold } from '../../src/domain/hold.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { type Logger, silentLog } from '../../src/domain/log.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Reviewer } from '../../src/domain/reviewer.ts';
import { refuseSuspended } from '../../src/domain/suspension.ts';
import { openSqliteStore, type Store } from '../../src/store/sqlite.ts';

/** Limits that no test meets unless it means to. */
export const GENEROUS: AgentLimits = {
  pendingPerAgent: 10_000,
  holdsPerHourPerAgent: 1_000_000,
  openTasksPerAgent: 1_000_000,
  storedBytesPerAgent: 2 ** 40,
};

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
    protocol: 'http',
    upstream: 'ledger',
    authority: 'ledger.example.org',
    method: 'POST',
    target: '/transfers',
    path: '/transfers',
    contentType: 'application/json',
    boundHeaders: ['accept', 'application/json'],
    body: { bytes, digest: sha256(bytes) },
    streamed: false,
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

const SPAN = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };
export const TRACE = { admit: SPAN, approval: { ...SPAN, traceId: 'c'.repeat(32) } };

export interface RequestOptions extends Partial<HoldRequest> {
  /** Called with every hold that the request entered. */
  onHeld?(hold: Hold, isNew: boolean): void;
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
    leftBehind: [],
    waitMs: 0,
    traceHold: () => TRACE,
    held: (hold, isNew) => onHeld?.(hold, isNew),
    rejudge: async (approval) => ({
      decision: { ...decision, effect: approval.satisfies(decision.requirements) ? 'allow' : 'hold' },
      principal,
      actionDigest,
      ...task,
    }),
    onClosed: () => () => {},
    ...extra,
    ...task,
    principal,
    action,
    decision,
    actionDigest,
  };
}

export interface AuditEntry {
  readonly type: AuditType;
  readonly record: JsonObject;
}

export interface Bench {
  readonly path: string;
  readonly clock: ManualClock;
  readonly store: Store;
  readonly approvals: SweptApprovals;
  /** What `approvals` was made of, for a test that makes another. */
  readonly options: ApprovalsOptions;
  readonly audit: AuditEntry[];
  /** Replaces what the audit log does with each record. */
  onAppend(hook: (entry: AuditEntry) => void | Promise<void>): void;
  /** States whose endings were counted. */
  readonly ended: string[];
  readonly errors: string[];
  /** Closes all and opens the same file again, as a new process would. */
  restart(): Promise<Bench>;
  close(): Promise<void>;
}

export type BenchOptions = Partial<Pick<ApprovalsOptions, 'limits' | 'owners' | 'suspended' | 'instance'>>;

/** Approvals over a new SQLite file. `close` removes the file. */
export function openBench(options: BenchOptions = {}, clock: ManualClock = manualClock()): Bench {
  return benchOn(join(mkdtempSync(join(tmpdir(), 'countersign-')), 'store', 'holds.db'), clock, options, 1);
}

/** Approvals over a file that is there, by a clock that is past what its former process saw. */
export function benchOn(path: string, clock: ManualClock, options: BenchOptions = {}, generation = 1): Bench {
  const errors: string[] = [];
  const log: Logger = { ...silentLog, error: (event) => errors.push(event) };
  const store = openSqliteStore({ path, clock, closeHold, log });
  const audit: AuditEntry[] = [];
  const ended: string[] = [];
  let hook: (entry: AuditEntry) => void | Promise<void> = () => {};
  const auditLog: AuditLog = {
    async append(type, _time, record) {
      const entry = { type, record: typeof record === 'string' ? (JSON.parse(record) as JsonObject) : record };
      await hook(entry);
      return { seq: audit.push(entry) };
    },
    async close() {},
  };
  const approvalsOptions: ApprovalsOptions = {
    store: store.holds,
    audit: auditLog,
    tracing: { reviewed: () => SPAN },
    metrics: { holdEnded: (state) => ended.push(state), reviewed: () => {} },
    log,
    instance: `instance-${generation}`,
    limits: () => GENEROUS,
    owners: () => [],
    suspended: () => new Set(),
    refuseSuspended: (caller, taskId) => refuseSuspended(store.suspensions, caller, taskId),
    ...options,
  };
  const approvals = createApprovals(approvalsOptions);
  const shut = async () => {
    approvals.close();
    await store.close();
  };
  return {
    path,
    clock,
    store,
    approvals,
    options: approvalsOptions,
    audit,
    ended,
    errors,
    onAppend(next) {
      hook = next;
    },
    async restart() {
      await shut();
      return benchOn(path, clock, options, generation + 1);
    },
    async close() {
      await shut();
      rmSync(join(path, '..', '..'), { recursive: true, force: true });
    },
  };
}

/** Sends a request that will not wait and gives the hold that it opened or attached to. */
export async function openHoldBy(bench: Bench, options: RequestOptions = {}): Promise<Hold> {
  let opened: Hold | undefined;
  const request = requestOf({ ...options, waitMs: 0, onHeld: (hold) => (opened = hold) });
  await bench.approvals.obtain(request).then(
    () => undefined,
    (thrown: unknown) => {
      if (opened === undefined) throw thrown;
    },
  );
  if (opened === undefined) throw new Error('the request entered no hold');
  return opened;
}

/** Starts a request that waits, and resolves once it does. */
export async function waiting(
  bench: Bench,
  options: RequestOptions = {},
): Promise<{ hold: Hold; result: Promise<Clearance> }> {
  const { promise: entered, resolve } = Promise.withResolvers<Hold>();
  const result = bench.approvals.obtain(requestOf({ waitMs: 60_000, ...options, onHeld: resolve }));
  result.catch(() => {});
  return { hold: await entered, result };
}

export function approve(bench: Bench, hold: Hold, reviewer = reviewerOf('alice')): Promise<Hold> {
  return bench.approvals.vote(hold.id, reviewer, { decision: 'approve', bindingDigest: hold.bindingDigest });
}

export function deny(bench: Bench, hold: Hold, reviewer = reviewerOf('bob')): Promise<Hold> {
  return bench.approvals.vote(hold.id, reviewer, { decision: 'deny', bindingDigest: hold.bindingDigest });
}

/** The code of what a promise was refused with; `resolved` when it was not refused. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (thrown: unknown) => (thrown as { code?: string }).code ?? String(thrown),
  );
}
