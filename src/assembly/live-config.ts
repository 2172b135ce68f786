// The configuration in force, and how another one takes its place: it is compiled whole beside the old one and then
// swapped in one step, so that no call sees half of each. Changes of sections that need a restart are refused, and the
// old configuration stays.

import type { Config } from '../config/schema.ts';
import type { BrokerProvider } from '../credentials/broker-provider.ts';
import type { Identity } from '../domain/identity.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Targets } from '../upstream/targets.ts';
import type { Compiled } from './compile.ts';

/**
 * Listeners, store, audit and signing hold sockets, locks and files. The sign-in of reviewers holds keys and sessions.
 * The rest of `limits` is read at each call.
 */
const needsRestart = ({
  listeners,
  store,
  audit,
  signing,
  reviewers,
  limits,
}: Config): Readonly<Record<string, unknown>> => ({
  listeners,
  store,
  audit,
  signing,
  'reviewers.api': reviewers.api,
  'reviewers.login': reviewers.login,
  'limits.header': limits.headerBytes,
});

export interface LiveConfigParts {
  readonly targets: Targets;
  makeIdentity(config: Config): Identity;
  /** Told of each identity that is put in force. */
  identityInForce(identity: Identity): void;
}

interface InForce {
  readonly config: Config;
  readonly compiled: Compiled;
  readonly runtime: RuntimeConfig;
}

/** Made before there is a configuration in force, because what is compiled needs parts that read this one. */
export class LiveConfig {
  readonly #parts: LiveConfigParts;
  #compile: ((config: Config) => Compiled) | undefined;
  #inForce: InForce | undefined;

  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
  }

  /** The configuration in force. */
  readonly config = (): Config => this.#now().config;

  readonly runtime = (): RuntimeConfig => this.#now().runtime;

  readonly provider = (name: string): BrokerProvider | undefined => this.#now().compiled.providers.get(name);

  /** Puts the first configuration in force. Every later one is compiled in the same way. */
  begin(config: Config, compile: (config: Config) => Compiled): void {
    this.#compile = compile;
    const compiled = compile(config);
    this.#parts.targets.reconfigure(compiled.targets);
    const identity = this.#parts.makeIdentity(config);
    this.#inForce = { config, compiled, runtime: runtimeOf(compiled, identity, config) };
    this.#parts.identityInForce(identity);
  }

  /**
   * Puts another configuration in force. Gives the names of the changed sections that need a restart; if there are any,
   * nothing has changed. Throws what a part refuses.
   */
  async replace(config: Config): Promise<readonly string[]> {
    const before = this.#now();
    const stuck = changedKeys(needsRestart(before.config), needsRestart(config));
    if (stuck.length > 0 || this.#compile === undefined) return stuck;
    const compiled = this.#compile(config);
    // An identity that has not changed keeps its keys and its verified tokens.
    const sameIdentity = changedKeys(needsIdentity(before.config), needsIdentity(config)).length === 0;
    const identity = sameIdentity ? before.runtime.identity : this.#parts.makeIdentity(config);
    if (!sameIdentity) await identity.start();
    this.#parts.targets.reconfigure(compiled.targets);
    this.#inForce = { config, compiled, runtime: runtimeOf(compiled, identity, config) };
    if (sameIdentity) return [];
    this.#parts.identityInForce(identity);
    before.runtime.identity.close();
    return [];
  }

  close(): void {
    this.#inForce?.runtime.identity.close();
  }

  #now(): InForce {
    if (this.#inForce === undefined) throw new TypeError('no configuration is in force yet');
    return this.#inForce;
  }
}

function runtimeOf(
  { policy, mounts, taints, callsPerAgent }: Compiled,
  identity: Identity,
  { limits: { waitMs, heldBodyBytes, storedBytesPerAgent }, noveltyWindow: noveltyWindowMs }: Config,
): RuntimeConfig {
  return {
    policy,
    mounts,
    taints,
    noveltyWindowMs,
    identity,
    waitMs,
    callsPerAgent,
    heldBodyBytes,
    storedBytesPerAgent,
  };
}

const needsIdentity = (config: Config): Readonly<Record<string, unknown>> => ({
  identity: config.identity,
  tokenFields: tokenFields(config),
});

function tokenFields({ upstreams }: Config): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(upstreams).map(([name, { agentToken }]) => [name, agentToken]));
}

/** Secrets are sources, which compare by where they come from. */
function changedKeys(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): readonly string[] {
  const comparable = (value: unknown): string => JSON.stringify(value) ?? '';
  return Object.keys(before).filter((key) => comparable(before[key]) !== comparable(after[key]));
}
