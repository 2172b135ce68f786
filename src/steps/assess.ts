// assess: the facts about a call, before a rule decides on it. They come from the configuration and from what the gateway
// has seen, never from what the agent says about itself. Only what a rule reads is looked up: by one query, and never
// from memory.

import type { Facts } from '../domain/facts.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Classified } from '../domain/stages.ts';
import { longest, type MarkStore, markKeysOf } from '../domain/taint.ts';
import type { FactWatch } from './fact-watch.ts';

export interface AssessDependencies {
  readonly marks: Pick<MarkStore, 'on'>;
  readonly watch: Pick<FactWatch, 'enter' | 'look'>;
}

export function assess(
  { marks, watch }: AssessDependencies,
  runtime: RuntimeConfig,
  classified: Classified,
): Assessed | Promise<Assessed> {
  const { call, principal, task, action, request, resumes } = classified;
  const headers = resumes?.headers ?? request.headers;
  const facts: Facts = { classification: runtime.policy.classify({ principal, action, headers }) };
  const reads = runtime.policy.factsRead(action.upstream, action.method, action.path);
  watch.enter(classified, facts.classification, reads);
  if (!reads.has('tainted')) return { ...classified, facts };
  const keys = markKeysOf(principal, task?.root);
  return watch
    .look(call, () => marks.on(keys))
    .then((found) => ({ ...classified, facts: { ...facts, tainted: longest(found) } }));
}
