// assess: the facts about a call, before a rule decides on it. They come from the configuration and from what the gateway
// has seen, never from what the agent says about itself.

import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Classified } from '../domain/stages.ts';

export function assess(runtime: RuntimeConfig, classified: Classified): Assessed | Promise<Assessed> {
  const { principal, action, request, resumes } = classified;
  const headers = resumes?.headers ?? request.headers;
  return { ...classified, facts: { classification: runtime.policy.classify({ principal, action, headers }) } };
}
