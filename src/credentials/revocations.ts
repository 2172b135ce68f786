// Takes credentials back. The intent is durable before a credential is used, a revocation that fails is tried again
// until the credential has expired, and a start sweeps up what a dead process left. Trusts the ledger for durability
// and the providers to be idempotent. Never throws on the way of a call; every failure is counted, logged and kept.

import type { Clock } from '../domain/clock.ts';
import type { CredentialLedger, CredentialProvider, OutstandingCredential } from '../domain/credential.ts';
import type { Logger } from '../domain/log.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Secret } from '../domain/secret.ts';
import { type Stopped, stops } from '../domain/suspension.ts';
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
  /** Of every suspension that would stop its call (`keysOf`). */
  readonly keys: readonly string[];
}

/** Which credentials to take back early; every member that is given must agree. */
export interface RevocationFilter {
  /** All whose call this suspension would stop. */
  readonly suspended?: Stopped;
  /** Of a shared credential: the task under which it is shared. */
  readonly taskId?: string;
  readonly holdId?: string;
  /** The name under `credentials`. */
  readonly name?: string;
}

/** What a filter is held against. */
export interface RevocationFacts extends Omit<RevocationFilter, 'suspended'> {
  /**
   * Absent for a credential that an earlier process minted: nobody remembers its keys, and the start revokes all of those.
   */
  readonly keys?: readonly string[];
}

interface Item {
  readonly entry: OutstandingCredential;
  readonly handle?: Secret;
  readonly provider?: CredentialProvider;
  readonly keys?: readonly string[];
  attempts: number;
  /** Set once nothing is left to revoke, and only the ledger must still be told. */
  ended: boolean;
  timer?: NodeJS.Timeout;
  running?: Promise<boolean>;
}

/** How many requests to issuers run at a time in the background. Calls that end do not wait behind them. */
const BACKGROUND_REQUESTS = 8;

// A token's life is counted from before the request that made it, and a request lasts at most this long.
const EXPIRY_GRACE_MS = 5_000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Revocations {
  readonly #options: RevocationOptions;
  readonly #retry: RetryDelays;
  readonly #items = new Map<string, Item>();
  /** What waits for a free place in the background. */
  readonly #queue: (() => Promise<unknown>)[] = [];
  #running = 0;
  #closed = false;

  constructor(options: RevocationOptions) {
    this.#options = options;
    this.#retry = options.retry ?? { firstMs: 1_000, maxMs: 300_000 };
  }

  /** Makes the intent durable. Rejects when it cannot be written; the credential is then already being taken back. */
  async intend(intent: Intent): Promise<void> {
    const { seal, ledger } = this.#options;
    try {
      const item = this.#keep(intent, seal.seal(intent.entry.id, intent.handle));
      await ledger.intend(item.entry);
    } catch (thrown) {
      await this.#attempt(this.#items.get(intent.entry.id) ?? this.#keep(intent, ''));
      throw thrown;
    }
  }

  /** Takes back at once what nobody may use. Never rejects; what fails is tried again. */
  async discard(intent: Intent): Promise<void> {
    await this.intend(intent).then(
      () => this.revoke(intent.entry.id),
      () => undefined,
    );
  }

  /**
   * Revokes now. True also for ids that are not outstanding. False when the credential could not be revoked yet: it will
   * be tried again.
   */
  async revoke(id: string): Promise<boolean> {
    const item = this.#items.get(id);
    return item === undefined ? true : this.#attempt(item);
  }

  /** Revokes after a while, or settles without a request if the credential has expired by then. */
  later(id: string, delayMs: number): void {
    const item = this.#items.get(id);
    if (item !== undefined && item.running === undefined) this.#schedule(item, delayMs);
  }

  /** Ids that this process knows to be outstanding. */
  matching(filter: RevocationFilter): readonly string[] {
    const items = [...this.#items.values()];
    return items.filter((item) => matchesRequest(factsOf(item), filter)).map((item) => item.entry.id);
  }

  /**
   * Tries everything that the ledger holds once; what fails goes on in the background. Throws what the ledger throws.
   */
  async sweep(withinMs: number): Promise<void> {
    const left = (await this.#options.ledger.outstanding()).filter((entry) => !this.#items.has(entry.id));
    const tries = left.map((entry) => {
      const item: Item = { entry, attempts: entry.attempts, ended: false };
      this.#items.set(entry.id, item);
      return this.#inBackground(item);
    });
    await within(Promise.all(tries), withinMs);
  }

  /** Tries everything once more, for at most `withinMs`; what is left stays in the ledger for the next start. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    await within(Promise.all([...this.#items.values()].map((item) => this.#inBackground(item))), withinMs);
    this.#queue.length = 0;
    for (const item of this.#items.values()) clearTimeout(item.timer);
  }

  #keep({ entry, handle, provider, keys }: Intent, sealed: string): Item {
    const item = { entry: { ...entry, sealed, attempts: 0 }, handle, provider, keys, attempts: 0, ended: false };
    this.#items.set(entry.id, item);
    return item;
  }

  #attempt(item: Item): Promise<boolean> {
    clearTimeout(item.timer);
    item.running ??= this.#endAndSettle(item).finally(() => delete item.running);
    return item.running;
  }

  async #endAndSettle(item: Item): Promise<boolean> {
    const { clock, ledger, log, metrics, ended } = this.#options;
    const { id, name, provider } = item.entry;
    if (!item.ended && !hasExpired(item.entry, clock.now())) {
      try {
        await this.#tellIssuer(item);
      } catch (thrown) {
        metrics.revoked(provider, false);
        await this.#failed(item, thrown);
        return false;
      }
      metrics.revoked(provider, true);
      ended?.('revoked', item.entry);
    } else if (!item.ended) ended?.('expired', item.entry);
    item.ended = true;
    try {
      await ledger.settle(id);
      this.#items.delete(id);
    } catch (thrown) {
      log.warn('countersign.credential.settle_failed', {
        credentialId: id,
        credential: name,
        provider,
        fault: faultName(thrown),
      });
      this.#tryAgain(item);
    }
    return true;
  }

  async #tellIssuer({ entry, handle, provider = this.#options.providers(entry.name) }: Item): Promise<void> {
    if (provider?.revoke === undefined) throw unavailable('The credential’s provider is no longer configured.');
    await provider.revoke(handle ?? this.#options.seal.open(entry.id, entry.sealed));
  }

  async #failed(item: Item, thrown: unknown): Promise<void> {
    const { ledger, log, ended } = this.#options;
    const { id, name, provider } = item.entry;
    item.attempts += 1;
    log.warn('countersign.credential.revoke_failed', {
      credentialId: id,
      credential: name,
      provider,
      attempts: item.attempts,
      fault: faultName(thrown),
    });
    if (item.attempts === 1) ended?.('revoke_failed', item.entry);
    this.#tryAgain(item);
    // The count is for operators; the entry itself stays whether or not it can be written.
    await ledger.failed(id).catch(() => undefined);
  }

  #tryAgain(item: Item): void {
    const { firstMs, maxMs } = this.#retry;
    const backoffMs = Math.min(maxMs, firstMs * 2 ** Math.min(item.attempts - 1, 30));
    this.#schedule(item, backoffMs * (0.8 + Math.random() * 0.4));
  }

  #schedule(item: Item, delayMs: number): void {
    clearTimeout(item.timer);
    if (this.#closed) return;
    const waitMs = Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS);
    item.timer = setTimeout(() => void this.#inBackground(item), waitMs).unref();
  }

  #inBackground(item: Item): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#queue.push(() => this.#attempt(item).then(resolve));
    this.#pump();
    return promise;
  }

  #pump(): void {
    while (this.#running < BACKGROUND_REQUESTS) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#running += 1;
      void next().finally(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
  }
}

function hasExpired(entry: OutstandingCredential, now: number): boolean {
  return entry.expiresAt !== undefined && now >= entry.expiresAt + EXPIRY_GRACE_MS;
}

/** Whether the facts agree with every member of the filter. A filter without members must not match everything. */
export function matchesRequest(facts: RevocationFacts, filter: RevocationFilter): boolean {
  const { suspended, ...rest } = filter;
  const asked = (Object.keys(rest) as (keyof typeof rest)[]).filter((key) => rest[key] !== undefined);
  return (
    (suspended !== undefined || asked.length > 0) &&
    (suspended === undefined || (facts.keys !== undefined && stops(suspended, facts.keys))) &&
    asked.every((key) => facts[key] === rest[key])
  );
}

function factsOf({ entry, keys }: Item): RevocationFacts {
  const { taskId, holdId, name } = entry;
  return {
    ...(keys !== undefined && { keys }),
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
