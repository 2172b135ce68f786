// The shape of the configuration file: every key, its meaning, its unit and its default. Unknown keys are faults. The
// JSON Schema in config/countersign.schema.json is made from this. References between sections are checked in
// references.ts.

import { z } from 'zod';
import { credential } from '../credentials/types.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import { identity, reviewers } from './identities.ts';
import { audit, limits, listeners, store } from './listeners.ts';
import { notifications } from './notifications.ts';
import { retention } from './retention.ts';
import { rule, tier } from './rules.ts';
import { signing } from './signing.ts';
import { upstream } from './upstreams.ts';

const upstreamName = () =>
  z
    .string()
    .regex(/^[a-z0-9-]+$/, { error: 'An upstream’s name has lower-case letters, digits and hyphens.' })
    .refine((name) => name !== 'countersign', 'The name countersign is the gateway’s own.');

export const configSchema = (around: ConfigContext) =>
  z.strictObject({
    listeners: listeners(around).describe('Where the gateway listens'),
    store: store(around).describe('Where holds and tasks are kept'),
    audit: audit(around).describe('The audit log'),
    identity: identity(around).describe('Who is believed to be whom'),
    upstreams: z.record(upstreamName(), upstream(around)).describe('Protected systems, each mounted at /<name>'),
    credentials: z
      .record(z.string().min(1), credential(around))
      .default({})
      .describe('How upstream credentials are had'),
    signing: signing(around).exactOptional().describe('The gateway as an issuer of tokens'),
    tiers: z.record(z.string().min(1), tier()).default({}).describe('Kinds of approval'),
    rules: z.array(rule()).describe('Policy: strictest wins, and no match is a deny'),
    notifications: notifications(around).describe('How people are told that something waits for them'),
    reviewers: reviewers(around).describe('How reviewers prove themselves'),
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
