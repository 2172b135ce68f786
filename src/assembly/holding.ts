// What holds calls for people and keeps what is stored within its periods.

import { createApprovals } from '../approvals/approvals.ts';
import type { Config } from '../config/schema.ts';
import type { Approvals } from '../domain/approvals.ts';
import type { Identity } from '../domain/identity.ts';
import { agentKeyOf, type NamedAgent } from '../domain/person.ts';
import type { SeenAgents } from '../domain/seen-agents.ts';
import { refuseSuspended, type Suspended } from '../domain/suspension.ts';
import { GatewayError } from '../errors.ts';
import { startSuspensionEnds } from '../reactions/suspension-ends.ts';
import { suggest } from '../settings/suggestions.ts';
import { startRetention } from '../store/retention-sweep.ts';
import type { Foundation } from './foundation.ts';
import type { LiveConfig } from './live-config.ts';
import type { Shutdown } from './shutdown.ts';

export function createHolding(foundation: Foundation, live: LiveConfig, shutdown: Shutdown): Approvals {
  const { audit, clock, instance, log, metrics, store, tracing } = foundation;
  const approvals = createApprovals({
    ...{ audit, tracing, metrics, log, instance },
    store: store.holds,
    limits: () => live.config().limits,
    owners: (agent) => ownersOf(agent, live, store.agents),
    suspended: () => new Set(live.config().reviewers.suspended),
    refuseSuspended: (call) => refuseSuspended(store.suspensions, call),
  });
  shutdown.add(approvals.close);
  shutdown.add(startSuspensionEnds({ audit, clock, log, suspensions: store.suspensions }).close);
  return approvals;
}

/** Throws `bad_request` for a suspension of an upstream that is not configured. */
export function refuseUnknownUpstream(what: Suspended, { upstreams }: Config): void {
  if (!('upstream' in what) || Object.hasOwn(upstreams, what.upstream)) return;
  const instead = suggest(what.upstream, 'Upstreams', Object.keys(upstreams));
  throw new GatewayError('bad_request', `There is no upstream of this name. ${instead}`.trimEnd());
}

/** Deletes what the configured periods are over for, from now on. */
export function keepRetention({ audit, clock, log, store }: Foundation, live: LiveConfig, shutdown: Shutdown): void {
  const retention = startRetention({
    ...{ audit, clock, log },
    store: store.retention,
    periods: () => live.config().retention,
  });
  shutdown.add(retention.close);
  void retention.sweep();
}

/** The key of the agent of an id: from the configuration where that says it, or else as the id was seen last. */
export function keyOfId(identity: Identity, agents: SeenAgents, id: string): string | undefined {
  return identity.agentKeyOf(id) ?? agents.keyOf(id);
}

/** The owners that `identity.owners` gives to the agent, by its key, or by this id or another one of the same key. */
export function ownersOf(agent: NamedAgent, live: LiveConfig, agents: SeenAgents): readonly string[] {
  const { identity } = live.runtime();
  const key = agentKeyOf(agent);
  const isOfAgent = (name: string): boolean =>
    name === agent.id || name === key || keyOfId(identity, agents, name) === key;
  const entries = Object.entries(live.config().identity.owners);
  return entries.flatMap(([name, owners]) => (isOfAgent(name) ? owners : []));
}
