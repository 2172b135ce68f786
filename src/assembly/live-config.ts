// What is in force now, and how a changed configuration takes its place: compiled whole beside the old one, then
// swapped in one step, so that no call ever sees half of each. Sections that only a restart can change are refused, and
// the old runtime stays.

import type { Config } from '../config/schema.ts';
import type { BrokerProvider } from '../credentials/broker-provider.ts';
import type { Identity } from '../domain/identity.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Targets } from '../upstream/targets.ts';
import { type Compiled, type CompileParts, compile } from './compile.ts';

export interface LiveConfig {
  config(): Config;
  runtime(): RuntimeConfig;
  provider(name: string): BrokerProvider | undefined;
  /**
   * Swaps. Gives the names of the changed sections that need a restart, and then nothing has changed. Throws what a
   * part refuses.
   */
  replace(next: Config): Promise<readonly string[]>;
  close(): void;
}

/**
 * Listeners, store, audit and signing hold sockets, locks and files; the reviewers' sign-in holds keys and sessions;
 * the rest of `limits` is read at each call.
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

export interface LiveConfigParts extends CompileParts {
  readonly targets: Targets;
  makeIdentity(config: Config): Identity;
}

/** `first` is `initial`, compiled. */
export function createLiveConfig(
  initial: Config,
  first: Compiled,
  { targets, makeIdentity, ...parts }: LiveConfigParts,
): LiveConfig {
  let config = initial;
  let compiled = first;
  const runtimeOf = (
    { policy, mounts, callsPerAgent }: Compiled,
    identity: Identity,
    { limits }: Config,
  ): RuntimeConfig => ({
    policy,
    mounts,
    identity,
    waitMs: limits.waitMs,
    callsPerAgent,
    heldBodyBytes: limits.heldBodyBytes,
    storedBytesPerAgent: limits.storedBytesPerAgent,
  });
  let runtime = runtimeOf(compiled, makeIdentity(initial), initial);

  return {
    config: () => config,
    runtime: () => runtime,
    provider: (name) => compiled.providers.get(name),
    async replace(next) {
      const stuck = changedKeys(needsRestart(config), needsRestart(next));
      if (stuck.length > 0) return stuck;
      const fresh = compile(next, parts);
      // An identity that has not changed keeps its keys and its verified tokens.
      const sameIdentity = changedKeys(needsIdentity(config), needsIdentity(next)).length === 0;
      const identity = sameIdentity ? runtime.identity : makeIdentity(next);
      if (!sameIdentity) await identity.start();
      targets.reconfigure(fresh.targets);
      const retired = runtime.identity;
      config = next;
      compiled = fresh;
      runtime = runtimeOf(fresh, identity, next);
      if (!sameIdentity) retired.close();
      return [];
    },
    close: () => runtime.identity.close(),
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
