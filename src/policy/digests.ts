// Digests of the policy, and of the part of it on which a decision rests. The second kind covers only the matched rules
// and their tiers, in an order that does not depend on the file. So an unrelated edit voids no approval.

import type { Digest } from '../domain/action.ts';
import { canonicalDigest, canonicalText } from '../domain/canonical.ts';
import type { Requirement } from '../domain/decision.ts';
import { defined } from '../domain/defined.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { Meters } from './meters.ts';
import type { PolicyOptions } from './rules.ts';

export interface Digests {
  readonly policy: Digest;
  decision(matched: readonly CompiledRule[]): Digest;
}

export function createDigests(options: PolicyOptions, rules: readonly CompiledRule[], meters: Meters): Digests {
  const contentOf = (rule: CompiledRule) => withMeters(contentOfRule(rule), rule, meters);
  const contents = rules.map(contentOf);
  const upstreams = Object.fromEntries(
    Object.entries(options.upstreams).map(([name, { protocol, credential, toolChanges, caseSensitive, ...more }]) => [
      name,
      {
        protocol,
        ...(caseSensitive === true && { caseSensitive }),
        ...(credential !== undefined && { credential }),
        ...(toolChanges !== undefined && { toolChanges }),
        ...defined({ environment: more.environment, trust: more.trust }),
      },
    ]),
  );
  return {
    policy: canonicalDigest('countersign/policy/v1', { rules: contents, upstreams, ...classificationOf(options) }),
    decision: (matched) => canonicalDigest('countersign/decision/v1', matched.map(contentOf).sort(byId)),
  };
}

/** Left out where nothing is classified, so that such a policy has the digest that it always had. */
function classificationOf({ sensitivity, unclassified, destinations, resources }: PolicyOptions) {
  const says = resources.length > 0 || unclassified !== undefined || Object.keys(destinations).length > 0;
  return says && { sensitivity, ...defined({ unclassified }), destinations, resources };
}

/** The same decision with the people who sit in the seats for owners: other owners make it another decision. */
export function withPeople(decision: Digest, requirements: readonly Requirement[]): Digest {
  const owners = requirements.filter(({ owner }) => owner).map(({ tier, reviewers }) => ({ tier, reviewers }));
  return canonicalDigest('countersign/decision/v1', { decision, owners: inOrder(owners) });
}

/**
 * A rule's content with its tier's spelled out. Lists whose order has no meaning are sorted. `notify`, messages and
 * what the agent is told are left out, because they change nothing of what was approved.
 */
function contentOfRule({ options, requirements }: CompiledRule) {
  const { match, when, tier: _tier, notify: _notify, message: _message, ...more } = options;
  const { maintainer: _maintainer, tellFacts: _tellFacts, wholeSession: _wholeSession, ...rest } = more;
  const [first, ...others] = requirements.map(contentOfRequirement);
  return {
    ...rest,
    ...(when !== undefined && { when }),
    match: {
      ...match,
      ...(match.methods && { methods: [...match.methods].sort() }),
      ...(match.mcp && { mcp: [...match.mcp].sort() }),
    },
    ...(first && (others.length === 0 ? { requirement: first } : { requirements: inOrder([first, ...others]) })),
  };
}

/** A rule that reads meters means another thing when one of them counts something else. */
function withMeters<Content extends object>(content: Content, { condition }: CompiledRule, meters: Meters) {
  const read = [...(condition?.metersRead ?? [])].sort();
  return read.length === 0 ? content : { ...content, meters: read.map((name) => meters.named(name)?.id ?? null) };
}

function contentOfRequirement({ escalate, assurance, tellAgent: _, ...requirement }: Requirement) {
  return {
    ...requirement,
    reviewers: [...requirement.reviewers].sort(),
    ...(assurance && { assurance: { ...assurance, ...(assurance.acr && { acr: [...assurance.acr].sort() }) } }),
    ...(escalate && { escalate: { ...escalate, to: [...escalate.to].sort() } }),
  };
}

const inOrder = <T>(contents: readonly T[]): readonly T[] =>
  contents
    .map((content) => [canonicalText(content), content] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, content]) => content);

const byId = (a: { readonly id: string }, b: { readonly id: string }): number =>
  a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
