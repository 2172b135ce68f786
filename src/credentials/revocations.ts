// Takes credentials back: the intent is durable before a credential is used, what fails is tried again until it has
// expired, and what a dead process left is swept at start. Trusts the ledger for durability and the providers to be
// idempotent. Never throws on the way of a call; every failure is counted, logged and kept.

import type { Clock } from '../domain/clock.ts';
import type { CredentialLedger, CredentialProvider, OutstandingCredential } from '../domain/credential.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Secret } from '../domain/secret.ts';
import { faultName, unavailable } from './broker-provider.ts';
import type { Sealer } from './seal.ts';

/** Delays in ms. Failed revocations wait `firstMs`, doubled each time up to `maxMs`, give or take a fifth. */
export interface RetryDelays {
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface RevocationOptions {
  /** The provider that is configured under a name now; undefined when it is gone. */
  readonly providers: (name: string) => CredentialProvider | undefined;
  readonly ledger: CredentialLedger;
  readonly seal: Sealer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /**
   * Told of every credential that was taken back or has run out, and of the first failure to take one back. Must not
   * throw.
   */
  readonly ended?: (event: 'revoked' | 'revoke_failed' | 'expired', entry: OutstandingCredential) => void;
  /** Default one second, up to five minutes. */
  readonly retry?: RetryDelays;
}

/** A credential that must be taken back, before it is sealed. */
export interface Intent {
  readonly entry: Omit<OutstandingCredential, 'sealed' | 'attempts'>;
  readonly handle: Secret;
  readonly provider: CredentialProvider;
  /** Whose call it is for (`partiesOf`). */
  readonly parties: readonly string[];
}

/** Which credentials to take back early; every member that is given must agree. */
export interface RevocationFilter {
  /** A caller, by any identity that it proved, or someone a caller acts for. */
  readonly principalId?: string;
  readonly taskId?: string;
  readonly holdId?: string;
  /** The name under `credentials`. */
  readonly name?: string;
}

/** What a filter is held against. */
export interface RevocationFacts extends Omit<RevocationFilter, 'principalId'> {
  readonly parties?: readonly string[];
}

export interface Revocations {
  /** Makes the intent durable. Rejects when it cannot be written; the credential is then already being taken back. */
  intend(intent: Intent): Promise<void>;
  /** Takes back at once what nobody may use. Never rejects; what fails is tried again. */
  discard(intent: Intent): Promise<void>;
  /**
   * Revokes now. True also for ids that are not outstanding. False when it could not be revoked yet: it will be tried
   * again.
   */
  revoke(id: string): Promise<boolean>;
  /** Revokes after a while, or settles without a request if it has expired by then. */
  later(id: string, delayMs: number): void;
  /** Ids that this process knows to be outstanding. */
  matching(filter: RevocationFilter): string[];
  /**
   * Tries everything that the ledger holds once; what fails goes on in the background. Throws what the ledger throws.
   */
  sweep(withinMs: number): Promise<void>;
  /** Tries everything once more, for at most `withinMs`; what is left stays in the ledger for the next start. */
  close(withinMs: number): Promise<void>;
}

interface Item {
  readonly entry: OutstandingCredential;
  readonly handle?: Secret;
  readonly provider?: CredentialProvider;
  readonly parties?: readonly string[];
  attempts: number;
  /** Set once nothing is left to revoke; only the ledger is to be told. */
  ended: boolean;
  timer?: NodeJS.Timeout;
  running?: Promise<boolean>;
}

/** Requests to issuers that run at a time in the background; calls that end do not wait behind them. */
const BACKGROUND_REQUESTS = 8;

// A token's life is counted from before the request that made it, and a request lasts at most this long.
const EXPIRY_GRACE_MS = 5_000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function createRevocations(options: RevocationOptions): Revocations {
  const { ledger, seal, clock, log, metrics } = options;
  const retry = options.retry ?? { firstMs: 1_000, maxMs: 300_000 };
  const items = new Map<string, Item>();
  const queue: (() => Promise<unknown>)[] = [];
  let running = 0;
  let closed = false;

  function keep(intent: Intent, sealed: string): Item {
    const { handle, provider, parties } = intent;
    const item: Item = {
      entry: { ...intent.entry, sealed, attempts: 0 },
      handle,
      provider,
      parties,
      attempts: 0,
      ended: false,
    };
    items.set(item.entry.id, item);
    return item;
  }

  async function intend(intent: Intent): Promise<void> {
    try {
      const item = keep(intent, seal.seal(intent.entry.id, intent.handle));
      await ledger.intend(item.entry);
    } catch (thrown) {
      await attempt(items.get(intent.entry.id) ?? keep(intent, ''));
      throw thrown;
    }
  }

  async function discard(intent: Intent): Promise<void> {
    await intend(intent).then(
      () => revoke(intent.entry.id),
      () => undefined,
    );
  }

  async function revoke(id: string): Promise<boolean> {
    const item = items.get(id);
    return item === undefined ? true : attempt(item);
  }

  function attempt(item: Item): Promise<boolean> {
    clearTimeout(item.timer);
    item.running ??= endAndSettle(item).finally(() => delete item.running);
    return item.running;
  }

  async function endAndSettle(item: Item): Promise<boolean> {
    const { id, name, provider } = item.entry;
    if (!item.ended && !hasExpired(item.entry, clock.now())) {
      try {
        await tellIssuer(item);
      } catch (thrown) {
        metrics.revoked(provider, false);
        await failed(item, thrown);
        return false;
      }
      metrics.revoked(provider, true);
      options.ended?.('revoked', item.entry);
    } else if (!item.ended) options.ended?.('expired', item.entry);
    item.ended = true;
    try {
      await ledger.settle(id);
      items.delete(id);
    } catch (thrown) {
      log.warn('countersign.credential.settle_failed', {
        credentialId: id,
        credential: name,
        provider,
        fault: faultName(thrown),
      });
      tryAgain(item);
    }
    return true;
  }

  async function tellIssuer({ entry, handle, provider = options.providers(entry.name) }: Item): Promise<void> {
    if (provider?.revoke === undefined) throw unavailable('The credential’s provider is no longer configured.');
    await provider.revoke(handle ?? seal.open(entry.id, entry.sealed));
  }

  async function failed(item: Item, thrown: unknown): Promise<void> {
    const { id, name, provider } = item.entry;
    item.attempts += 1;
    log.warn('countersign.credential.revoke_failed', {
      credentialId: id,
      credential: name,
      provider,
      attempts: item.attempts,
      fault: faultName(thrown),
    });
    if (item.attempts === 1) options.ended?.('revoke_failed', item.entry);
    tryAgain(item);
    // The count is for operators; the entry itself stays whether or not it can be written.
    await ledger.failed(id).catch(() => undefined);
  }

  function tryAgain(item: Item): void {
    const backoffMs = Math.min(retry.maxMs, retry.firstMs * 2 ** Math.min(item.attempts - 1, 30));
    schedule(item, backoffMs * (0.8 + Math.random() * 0.4));
  }

  function schedule(item: Item, delayMs: number): void {
    clearTimeout(item.timer);
    if (closed) return;
    item.timer = setTimeout(() => void inBackground(item), Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS)).unref();
  }

  function inBackground(item: Item): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    queue.push(() => attempt(item).then(resolve));
    pump();
    return promise;
  }

  function pump(): void {
    while (running < BACKGROUND_REQUESTS) {
      const next = queue.shift();
      if (next === undefined) return;
      running += 1;
      void next().finally(() => {
        running -= 1;
        pump();
      });
    }
  }

  return {
    intend,
    discard,
    revoke,
    later(id, delayMs) {
      const item = items.get(id);
      if (item !== undefined && item.running === undefined) schedule(item, delayMs);
    },
    matching: (filter) =>
      [...items.values()].filter((item) => matchesRequest(factsOf(item), filter)).map((item) => item.entry.id),
    async sweep(withinMs) {
      const left = (await ledger.outstanding()).filter((entry) => !items.has(entry.id));
      const tries = left.map((entry) => {
        const item: Item = { entry, attempts: entry.attempts, ended: false };
        items.set(entry.id, item);
        return inBackground(item);
      });
      await within(Promise.all(tries), withinMs);
    },
    async close(withinMs) {
      closed = true;
      await within(Promise.all([...items.values()].map(inBackground)), withinMs);
      queue.length = 0;
      for (const item of items.values()) clearTimeout(item.timer);
    },
  };
}

function hasExpired(entry: OutstandingCredential, now: number): boolean {
  return entry.expiresAt !== undefined && now >= entry.expiresAt + EXPIRY_GRACE_MS;
}

/** Whether everything that the filter names is so. A filter that names nothing must not mean everything. */
export function matchesRequest(facts: RevocationFacts, filter: RevocationFilter): boolean {
  const asked = (Object.keys(filter) as (keyof RevocationFilter)[]).filter((key) => filter[key] !== undefined);
  const { parties = [] } = facts;
  return (
    asked.length > 0 &&
    asked.every((key) => (key === 'principalId' ? parties.includes(filter[key] as string) : facts[key] === filter[key]))
  );
}

function factsOf({ entry, parties }: Item): RevocationFacts {
  const { taskId, holdId, name } = entry;
  return {
    ...(parties !== undefined && { parties }),
    ...(taskId !== undefined && { taskId }),
    ...(holdId !== undefined && { holdId }),
    name,
  };
}

/** Waits for work, but no longer than this; the work goes on. */
export async function within(work: Promise<unknown>, withinMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, withinMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
