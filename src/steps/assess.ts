// assess: the facts about a call, before a rule decides on it. They come from the configuration and from what the gateway
// has seen, never from what the agent says about itself. Only what a rule reads is looked up: by one query, and never
// from memory.

import type { Classification } from '../domain/classification.ts';
import { defined } from '../domain/defined.ts';
import type { Facts } from '../domain/facts.ts';
import type { NoveltyStore } from '../domain/novelty.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Classified } from '../domain/stages.ts';
import { longest, type MarkStore, markKeysOf } from '../domain/taint.ts';
import type { CallMeters } from './call-meters.ts';
import type { FactWatch } from './fact-watch.ts';

export interface AssessDependencies {
  readonly marks: Pick<MarkStore, 'on'>;
  readonly watch: Pick<FactWatch, 'enter' | 'look'>;
  readonly metering: Pick<CallMeters, 'reserve'>;
  readonly novelty: Pick<NoveltyStore, 'of'>;
}

/** `holdId`: the hold whose approval the call is about to use. Throws `store_unavailable`. */
export function assess(
  { marks, watch, metering, novelty }: AssessDependencies,
  runtime: RuntimeConfig,
  classified: Classified,
  holdId?: string,
): Assessed | Promise<Assessed> {
  const { call, principal, task, action, request, resumes } = classified;
  const headers = resumes?.headers ?? request.headers;
  const classification = runtime.policy.classify({ principal, action, headers });
  const reads = runtime.policy.factsRead(action.upstream, action.method, action.path);
  watch.enter(classified, classification, reads);
  // The turn in which it reserves is the turn in which it reads: who reserves later sees this call.
  const count = (): Facts => {
    const meters = metering.reserve(runtime, classified, holdId);
    const novel = reads.has('novel') ? noveltyOf(novelty, runtime, classified, classification) : undefined;
    return meters === undefined && novel === undefined
      ? { classification }
      : { classification, ...defined({ meters, novel }) };
  };
  if (!reads.has('tainted')) return { ...classified, facts: count() };
  const keys = markKeysOf(principal, task?.root);
  return watch
    .look(call, () => marks.on(keys))
    .then((found) => ({ ...classified, facts: { ...count(), tainted: longest(found) } }));
}

function noveltyOf(
  novelty: Pick<NoveltyStore, 'of'>,
  runtime: RuntimeConfig,
  { principal, action, request, resumes }: Classified,
  classification: Classification,
): Facts['novel'] {
  const headers = resumes?.headers ?? request.headers;
  const call = runtime.policy.recognise({ principal, action, headers }, classification);
  return call && novelty.of(principal.agentKey, call);
}
