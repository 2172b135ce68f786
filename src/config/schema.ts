// The shape of the configuration file: every key, its meaning, its unit and its default. Unknown keys are faults. The
// JSON Schema in config/countersign.schema.json is made from this. references.ts checks the references between
// sections.

import { z } from 'zod';
import { credential } from '../credentials/types.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';
import { identity, reviewers } from './identities.ts';
import { limits } from './limits.ts';
import { listeners } from './listeners.ts';
import { meter, meterName } from './meters.ts';
import { notifications } from './notifications.ts';
import { destinations, plainName, resource, sensitivity } from './resources.ts';
import { retention } from './retention.ts';
import { rule, tier } from './rules.ts';
import { signing } from './signing.ts';
import { audit, store } from './storage.ts';
import { taint } from './taints.ts';
import { upstream, upstreamName } from './upstreams.ts';
import { violations } from './violations.ts';

export const configSchema = (context: ConfigContext) =>
  z.strictObject({
    listeners: listeners(context).describe('Where the gateway listens'),
    store: store(context).describe('Where holds and tasks are kept'),
    audit: audit(context).describe('The audit log'),
    identity: identity(context).describe('Who is believed to be whom'),
    upstreams: z.record(upstreamName(), upstream(context)).describe('Protected systems, each mounted at /<name>'),
    credentials: z
      .record(z.string().min(1), credential(context))
      .default({})
      .describe('How upstream credentials are had'),
    signing: signing(context).exactOptional().describe('The gateway as an issuer of tokens'),
    tiers: z.record(z.string().min(1), tier()).default({}).describe('Kinds of approval'),
    sensitivity: sensitivity().describe(
      'Labels of data, lowest first; default public, internal, confidential, restricted',
    ),
    unclassified: plainName().exactOptional().describe('The label of what nothing classifies; default: none'),
    destinations: destinations().describe(
      'How far places are trusted: names with their patterns, most trusted first; what no pattern matches is external',
    ),
    taints: z.record(plainName(), taint()).default({}).describe('Marks on those who have read something, by name'),
    resources: z.array(resource()).default([]).describe('What things are: all entries that match a call add up'),
    meters: z.record(meterName(), meter()).default({}).describe('What is counted over calls, for conditions'),
    noveltyWindow: duration({ least: '1m', most: '3650d' })
      .prefault('90d')
      .describe('How long what an agent has done is known; default 90d'),
    tellFacts: z
      .boolean()
      .default(true)
      .describe('Whether agents are told the facts on which a hold or denial rests; default true'),
    rules: z.array(rule()).describe('Policy: strictest wins, and no match is a deny'),
    violations: violations().default([]).describe('What happens to agents that are refused again and again'),
    notifications: notifications(context).describe('How people are told that something waits for them'),
    reviewers: reviewers(context).describe('How reviewers prove themselves'),
    limits: limits().prefault({}).describe('How much is taken and kept'),
    retention: retention().prefault({}).describe('How long what has ended is kept in the store'),
  });

/** One configuration as it is written, before it is checked. */
export type ConfigInput = z.input<ReturnType<typeof configSchema>>;

/**
 * One configuration, checked and frozen. Durations end in `Ms`, sizes in `Bytes`; paths are absolute; secrets are
 * sources.
 */
export type Config = DeepReadonly<z.output<ReturnType<typeof configSchema>>>;
