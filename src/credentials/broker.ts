// The broker gives a cleared call its credential, and takes the credential back. The types demand the clearance first.
// A call that people approved gets a credential of its own: minted for it, revoked after it. Calls that a rule allows
// may share one. No credential leaves here before the intent to revoke it is durable.

import { canonicalDigest } from '../domain/canonical.ts';
import type { Clearance } from '../domain/clearance.ts';
import type { Clock, EpochMs } from '../domain/clock.ts';
import type { Broker, Credential, CredentialLedger, Grant, OutstandingCredential } from '../domain/credential.ts';
import type { CredentialPlan } from '../domain/decision.ts';
import type { Identified } from '../domain/identity.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Principal } from '../domain/principal.ts';
import { keysOf, type SuspendableTask } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import { type BrokerProvider, unavailable } from './broker-provider.ts';
import { createMints } from './mints.ts';
import {
  matchesRequest,
  type RetryDelays,
  type RevocationFacts,
  type RevocationFilter,
  type RevocationOptions,
  Revocations,
  within,
} from './revocations.ts';
import type { Sealer } from './seal.ts';
import { createShares, reuseMs } from './shares.ts';

export interface BrokerOptions extends Pick<RevocationOptions, 'ended'> {
  /**
   * The provider that is configured under a name now. A reload makes another object; what the old one made is then no
   * longer shared.
   */
  readonly providers: (name: string) => BrokerProvider | undefined;
  readonly ledger: CredentialLedger;
  readonly seal: Sealer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How many shared credentials are kept; default 10,000. */
  readonly maxShared?: number;
  /** How long a failed mint answers calls that would share it, ms; default 1,000. */
  readonly failureMs?: number;
  /**
   * How long calls under way may still use a shared credential that is no longer handed out, ms; default 60,000. Then
   * it is revoked.
   */
  readonly lingerMs?: number;
  /** A shared credential younger than this is not replaced when an upstream refuses it, ms; default 1,000. */
  readonly freshMs?: number;
  readonly retry?: RetryDelays;
}

export interface CredentialBroker extends Broker {
  /**
   * Revokes what a dead process left: waits for the first try of everything, at most ten seconds. Throws
   * `store_unavailable`.
   */
  start(): Promise<void>;
  /**
   * Refuses further calls with `draining` and revokes what is outstanding, for a few seconds at most; the rest waits in
   * the ledger.
   */
  close(): Promise<void>;
  /** What must still be taken back, for operators. */
  outstanding(): Promise<readonly Omit<OutstandingCredential, 'sealed'>[]>;
  /**
   * Takes back at once every credential that the filter names: shared ones too, and those that are still being made.
   * Resolves to false when some could not be revoked yet.
   */
  revokeFor(filter: RevocationFilter): Promise<boolean>;
}

/** The caller, and its task where one is known: the pipeline's stages carry both. */
type CredentialCaller = Identified & { readonly task?: SuspendableTask };

const START_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 3_000;

/**
 * Clearance must have been given before: the broker asks nobody whether the call may be made. It compares what an issuer
 * granted with what was asked for only as far as the provider does.
 *
 * @example
 * const broker = createBroker({ providers: (name) => providers.get(name), ledger, seal, clock, log, metrics });
 * await broker.start();
 * const credential = await broker.issue(clearance, caller, action);
 * // … the call is sent with it …
 * if (credential?.exclusive) await broker.release(credential);
 */
export function createBroker(options: BrokerOptions): CredentialBroker {
  const { providers, clock, log, metrics } = options;
  const lingerMs = options.lingerMs ?? 60_000;
  const revocations = new Revocations(options);
  const mints = createMints({ clock, log, metrics, revocations, refuses: () => closed });
  const shares = createShares({
    clock,
    max: options.maxShared ?? 10_000,
    failureMs: options.failureMs ?? 1_000,
    retire: ({ id }) => revocations.later(id, lingerMs),
  });
  const freshMs = options.freshMs ?? 1_000;
  const shared = new WeakMap<Credential, { readonly madeAt: EpochMs; readonly facts: RevocationFacts }>();
  let closed = false;

  function issue(
    clearance: Clearance,
    caller: CredentialCaller,
    action: Grant['action'],
  ): Credential | undefined | Promise<Credential> {
    const plan = clearance.decision.credential;
    if (plan === undefined) return undefined;
    const provider = providers(plan.name);
    if (closed)
      return Promise.reject(
        new GatewayError('draining', 'The gateway is shutting down; no credential is made any more.'),
      );
    if (provider === undefined)
      return Promise.reject(unavailable('The credential that the rule names is not configured.'));
    const grantFor = (): Grant => ({
      principal: caller.principal,
      action,
      plan,
      ...(caller.token !== undefined && { subjectToken: caller.token }),
      ...(clearance.kind === 'released' && { holdId: clearance.hold.id }),
      now: clock.now(),
    });
    const { task } = clearance.kind === 'released' ? clearance.hold : caller;
    if (isAlone(clearance, provider))
      return mints.mint(provider, grantFor(), { exclusive: true, ...(task && { task, taskId: task.id }) });
    const root = task?.ancestors?.[0] ?? task?.id;
    const extra = provider.shareKey?.(grantFor()) ?? '';
    const key = `${scopeKey(plan)} ${extra} ${action.upstream} ${root ?? ''} ${callerKey(caller.principal)}`;
    return shares.obtain(key, provider, async () => {
      const taskId = root === undefined ? {} : { taskId: root };
      const credential = await mints.mint(provider, grantFor(), { exclusive: false, ...(task && { task }), ...taskId });
      const keys = keysOf({ principal: caller.principal, action, ...(task && { task }) });
      shared.set(credential, { madeAt: clock.now(), facts: { name: plan.name, keys, ...taskId } });
      // This does nothing for a credential that cannot be revoked.
      revocations.later(credential.id, reuseMs(provider, credential.expiresAt, clock.now()) + lingerMs);
      return credential;
    });
  }

  return {
    issue,
    mintsAlone(clearance) {
      const { credential } = clearance.decision;
      return credential !== undefined && isAlone(clearance, providers(credential.name));
    },
    release: ({ id, exclusive }) => (exclusive ? revocations.revoke(id) : Promise.resolve(true)),
    invalidate(credential) {
      const known = shared.get(credential);
      if (known === undefined || clock.now() - known.madeAt < freshMs) return false;
      shares.drop(({ id }) => id === credential.id);
      return true;
    },
    async start() {
      await revocations.sweep(START_WITHIN_MS);
    },
    async close() {
      if (closed) return;
      closed = true;
      const deadline = performance.now() + CLOSE_WITHIN_MS;
      await within(mints.ended(), CLOSE_WITHIN_MS);
      shares.clear();
      await revocations.close(Math.max(0, deadline - performance.now()));
    },
    async outstanding() {
      return (await options.ledger.outstanding()).map(({ sealed: _, ...entry }) => entry);
    },
    async revokeFor(filter) {
      // A credential that cannot be revoked is at least not handed out again.
      shares.drop((credential) => matchesRequest(shared.get(credential)?.facts ?? { name: credential.name }, filter));
      await mints.block(filter);
      const ids = new Set(revocations.matching(filter));
      return (await Promise.all([...ids].map((id) => revocations.revoke(id)))).every(Boolean);
    },
  };
}

/** Whether the call gets a credential of its own. */
function isAlone({ kind, decision }: Clearance, provider: BrokerProvider | undefined): boolean {
  return kind === 'released' || decision.credential?.perCall === true || provider?.shareable !== true;
}

const scopeKeys = new WeakMap<CredentialPlan, string>();

function scopeKey(plan: CredentialPlan): string {
  let key = scopeKeys.get(plan);
  if (key === undefined) {
    key = canonicalDigest('countersign/credential-scope/v1', [plan.name, plan.scope]);
    scopeKeys.set(plan, key);
  }
  return key;
}

// Everyone whose suspension stops the call is part of the key. So a credential that was minted for one user's task, or
// for a caller with one SVID, is never used for another's.
function callerKey({ id, spiffeId, onBehalfOf }: Principal): string {
  return spiffeId === undefined && onBehalfOf.length === 0
    ? id
    : JSON.stringify([id, spiffeId ?? null, ...onBehalfOf.map((party) => party.id)]);
}
