// What `countersign check` knows of issuers that show too many new agents: what the gateway has left beside its store,
// within the last thirty days. Where no gateway has run on the configuration's store, nothing is known.

import { dirname } from 'node:path';
import type { Config } from '../config/schema.ts';
import { isoTime, systemClock } from '../domain/clock.ts';
import { MANY_NEW_AGENTS } from '../domain/seen-agents.ts';
import type { Fault } from '../settings/faults.ts';
import { readNewAgents } from '../store/new-agents-file.ts';

const TOLD_FOR_MS = 30 * 24 * 60 * 60_000;

export function warnOfNewAgents({ identity, store }: Config, now = systemClock.now()): readonly Fault[] {
  const seen = readNewAgents(dirname(store.path));
  return identity.issuers.flatMap((issuer, index): Fault[] => {
    const { name } = issuer;
    const hasKey = 'agentKey' in issuer && issuer.agentKey !== undefined;
    const many = seen.get(name);
    // What was seen before there was an `agentKey` says nothing of the agents that it makes.
    const isOver = many === undefined || now - many.at > TOLD_FOR_MS || (hasKey && !many.keyed);
    if (isOver) return [];
    const remedy = `${hasKey ? 'Make `agentKey` name less' : 'Set `agentKey`'}, so that the ids of one agent count as one.`;
    const message =
      `${name} showed more than ${MANY_NEW_AGENTS} new agents on ${isoTime(many.at).slice(0, 10)}. Limits, facts and ` +
      `suspensions do not follow an agent whose id changes. ${remedy}`;
    return [{ path: ['identity', 'issuers', index, 'agentKey'], severity: 'warning', message }];
  });
}
