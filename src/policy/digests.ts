// Digests of the policy, and of the part of it on which a decision rests. The second kind covers only the matched rules
// and their tiers, in an order that does not depend on the file. So an unrelated edit voids no approval.

import type { Digest } from '../domain/action.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import type { Requirement } from '../domain/decision.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { PolicyOptions } from './rules.ts';

export interface Digests {
  readonly policy: Digest;
  decision(matched: readonly CompiledRule[]): Digest;
}

export function createDigests(options: PolicyOptions, rules: readonly CompiledRule[]): Digests {
  const contents = rules.map(contentOf);
  const upstreams = Object.fromEntries(
    Object.entries(options.upstreams).map(([name, { protocol, credential, toolChanges, caseSensitive }]) => [
      name,
      {
        protocol,
        ...(caseSensitive === true && { caseSensitive }),
        ...(credential !== undefined && { credential }),
        ...(toolChanges !== undefined && { toolChanges }),
      },
    ]),
  );
  return {
    policy: canonicalDigest('countersign/policy/v1', { rules: contents, upstreams }),
    decision: (matched) => canonicalDigest('countersign/decision/v1', matched.map(contentOf).sort(byId)),
  };
}

/**
 * A rule's content with its tier's spelled out. Lists whose order has no meaning are sorted. `notify` and messages are
 * left out, because they change nothing of what was approved.
 */
function contentOf({ options, requirement }: CompiledRule) {
  const { match, when, tier: _, notify: __, message: ___, ...rest } = options;
  return {
    ...rest,
    ...(when !== undefined && { when }),
    match: {
      ...match,
      ...(match.methods && { methods: [...match.methods].sort() }),
      ...(match.mcp && { mcp: [...match.mcp].sort() }),
    },
    ...(requirement && { requirement: contentOfRequirement(requirement) }),
  };
}

function contentOfRequirement({ escalate, tellAgent: _, ...requirement }: Requirement) {
  return {
    ...requirement,
    reviewers: [...requirement.reviewers].sort(),
    ...(escalate && { escalate: { ...escalate, to: [...escalate.to].sort() } }),
  };
}

const byId = (a: { readonly id: string }, b: { readonly id: string }): number =>
  a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
