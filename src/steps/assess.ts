// assess: the facts about a call, before a rule decides on it. They come from the configuration and from what the gateway
// has seen, never from what the agent says about itself.

import { defined } from '../domain/defined.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Classified } from '../domain/stages.ts';
import type { CallMeters } from './call-meters.ts';

/** `holdId`: the hold whose approval the call is about to use. Throws `store_unavailable`. */
export function assess(
  metering: CallMeters,
  runtime: RuntimeConfig,
  classified: Classified,
  holdId?: string,
): Assessed | Promise<Assessed> {
  const { principal, action, request, resumes } = classified;
  const headers = resumes?.headers ?? request.headers;
  const classification = runtime.policy.classify({ principal, action, headers });
  // In the turn in which it reserves, the call has its totals. Whoever reserves later sees it.
  const meters = metering.reserve(runtime, classified, holdId);
  return { ...classified, facts: { classification, ...defined({ meters }) } };
}
