// Makes one credential: asks its provider, refuses what is not acceptable, and makes the intent to revoke durable
// before anybody has the credential. A credential that exists at an issuer and may not be used is taken back here, also
// when the call was cancelled during the mint.

import { randomBytes } from 'node:crypto';
import type { Clock } from '../domain/clock.ts';
import type { Credential, Grant, Minted } from '../domain/credential.ts';
import type { CredentialPlan } from '../domain/decision.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import { keysOf, type SuspendableTask } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import { type BrokerProvider, faultName, UnwantedGrant, unavailable } from './broker-provider.ts';
import {
  type Intent,
  matchesRequest,
  type RevocationFacts,
  type RevocationFilter,
  type Revocations,
} from './revocations.ts';

export interface MintOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly revocations: Revocations;
  /** True once the gateway shuts down: a credential that comes after that is taken back unused. */
  refuses(): boolean;
}

export interface Mints {
  /**
   * A credential whose intent to revoke is durable. Rejects with `credential_unavailable`, `credential_too_broad`,
   * `draining`.
   */
  mint(provider: BrokerProvider, grant: Grant, use: Use): Promise<Credential>;
  /**
   * Cancels the mints that the filter names. Resolves when each of them has failed, and its credential was taken back
   * or is being taken back.
   */
  block(filter: RevocationFilter): Promise<void>;
  /** Resolves when every mint that is running now has finished. */
  ended(): Promise<void>;
}

/** What a credential is made for. */
export interface Use {
  /** For one call alone. */
  readonly exclusive: boolean;
  /** The task of the call that it is made for. */
  readonly task?: SuspendableTask;
  /** With whose end it is taken back: the call's task, or the one under which it is shared. */
  readonly taskId?: string;
}

/** A credential that is being made. */
interface Minting {
  readonly facts: RevocationFacts & { readonly keys: readonly string[] };
  readonly ended: Promise<unknown>;
  /** Set when the mint was cancelled before the credential was there. */
  blocked: boolean;
}

export function createMints(options: MintOptions): Mints {
  const { clock, log, metrics, revocations } = options;
  const minting = new Set<Minting>();

  function mint(provider: BrokerProvider, grant: Grant, { exclusive, task, taskId }: Use): Promise<Credential> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { plan, principal, action, holdId } = grant;
    const facts = {
      keys: keysOf({ principal, action, ...(task && { task }) }),
      name: plan.name,
      ...(holdId && { holdId }),
      ...(taskId && { taskId }),
    };
    const own: Minting = { facts, ended, blocked: false };
    minting.add(own);
    return make(own, provider, grant, exclusive).finally(() => {
      minting.delete(own);
      end();
    });
  }

  async function make(own: Minting, provider: BrokerProvider, grant: Grant, exclusive: boolean): Promise<Credential> {
    const { taskId, keys } = own.facts;
    const id = `cred_${randomBytes(16).toString('base64url')}`;
    const intentOf = ({ handle, expiresAt }: Pick<Minted, 'handle' | 'expiresAt'>): Intent | undefined => {
      if (handle === undefined || provider.revoke === undefined) return undefined;
      const { plan, holdId, now: issuedAt } = grant;
      const entry = {
        id,
        name: plan.name,
        provider: provider.type,
        issuedAt,
        ...(holdId && { holdId }),
        ...(taskId && { taskId }),
        ...(expiresAt && { expiresAt }),
      };
      return { entry, handle, provider, keys };
    };
    const discard = async (minted: Pick<Minted, 'handle' | 'expiresAt'>) => {
      const intent = intentOf(minted);
      if (intent !== undefined) await revocations.discard(intent);
    };

    const minted = await ask(provider, grant, discard);
    if (minted.expiresAt !== undefined && minted.expiresAt <= clock.now()) {
      await discard(minted);
      throw unavailable('The issuer made a credential that has already expired.');
    }
    if (options.refuses()) {
      await discard(minted);
      throw new GatewayError('draining', 'The gateway is shutting down; the credential was taken back unused.');
    }
    const intent = intentOf(minted);
    if (intent !== undefined) await intend(intent);
    if (own.blocked) {
      if (intent !== undefined) await revocations.revoke(id);
      throw unavailable('The credential was taken back while it was being made.');
    }
    return describe(id, provider, grant.plan, minted, exclusive, intent !== undefined);
  }

  async function ask(
    provider: BrokerProvider,
    grant: Grant,
    discard: (minted: UnwantedGrant['unwanted']) => Promise<void>,
  ): Promise<Minted> {
    const begun = performance.now();
    try {
      const minted = await provider.mint(grant);
      metrics.minted(provider.type, true, (performance.now() - begun) / 1000);
      return minted;
    } catch (thrown) {
      metrics.minted(provider.type, false, (performance.now() - begun) / 1000);
      log.warn('countersign.credential.mint_failed', {
        credential: grant.plan.name,
        provider: provider.type,
        fault: faultName(thrown),
        ...detailOf(thrown),
      });
      if (thrown instanceof UnwantedGrant) {
        await discard(thrown.unwanted);
        throw new GatewayError(thrown.code, thrown.detail);
      }
      throw thrown instanceof GatewayError
        ? thrown
        : unavailable(`The credential’s provider failed: ${faultName(thrown)}.`);
    }
  }

  async function intend(intent: Intent): Promise<void> {
    try {
      await revocations.intend(intent);
    } catch (thrown) {
      throw unavailable('The intent to revoke the credential could not be recorded; it was taken back unused.', thrown);
    }
  }

  const ends = async (some: Iterable<Minting>): Promise<void> =>
    void (await Promise.all([...some].map(({ ended }) => ended)));
  return {
    mint,
    block(filter) {
      const own = [...minting].filter(({ facts }) => matchesRequest(facts, filter));
      for (const one of own) one.blocked = true;
      return ends(own);
    },
    ended: () => ends(minting),
  };
}

function describe(
  id: string,
  provider: BrokerProvider,
  plan: CredentialPlan,
  minted: Minted,
  exclusive: boolean,
  revocable: boolean,
): Credential {
  return Object.freeze({
    id,
    name: plan.name,
    provider: provider.type,
    injection: minted.injection,
    secrets: minted.secrets,
    ...(minted.expiresAt !== undefined && { expiresAt: minted.expiresAt }),
    // The record must not promise a revocation that cannot happen.
    revocability: revocable ? minted.revocability : 'none',
    granted: minted.granted,
    exclusive,
  });
}

function detailOf(thrown: unknown): { detail?: string } {
  return thrown instanceof GatewayError ? { detail: thrown.detail } : {};
}
