// One rule, compiled: everything that does not depend on a call is computed when the policy is loaded.

import type { BodyNeed, Protocol } from '../domain/action.ts';
import type { Requirement } from '../domain/decision.ts';
import { asksOwner, needsOf } from '../domain/tier.ts';
import { type Condition, compileCondition } from './conditions.ts';
import { withExemption } from './exemption.ts';
import type { Language } from './language.ts';
import { compileMatcher, indexMatches, type Matcher, namesNoMessage } from './matcher.ts';
import type { PolicyUpstream, RuleOptions, TierOptions } from './rules.ts';

export interface CompiledRule extends Matcher {
  readonly options: RuleOptions;
  /** Place in the file; the built-in rules come last. */
  readonly index: number;
  readonly condition?: Condition;
  /** What a hold rule's tier asks for; a seat for owners has nobody yet (seats.ts). Empty for other rules. */
  readonly requirements: readonly Requirement[];
  /** Channels of the rule and of its tier. */
  readonly notify: readonly string[];
  /** How much of the body of a call the rule needs, where its path matches. Never `method`. */
  readonly bodyNeed: BodyNeed;
}

/** Throws TypeError for a path or condition that does not compile; checkPolicy has reported it before. */
export function compileRule(
  options: RuleOptions,
  index: number,
  tiers: Readonly<Record<string, TierOptions>>,
  language: Language,
): CompiledRule {
  const { match, decide, when } = options;
  const own = when === undefined ? undefined : compileCondition(when, language);
  const condition = options.exempt === undefined ? own : withExemption(own, options.exempt);
  const matcher = compileMatcher(match, decide === 'allow' ? 'exact' : 'lenient', sparesSessions(options, condition));
  return {
    ...matcher,
    options,
    index,
    ...(condition && { condition }),
    requirements: decide === 'hold' ? requirementsOf(options.tier, tiers) : [],
    notify: [...new Set([...(options.notify ?? []), ...(tierOf(options.tier, tiers)?.notify ?? [])])],
    bodyNeed: bodyNeedOf(options, matcher, condition),
  };
}

function bodyNeedOf({ decide }: RuleOptions, { readsBody }: Matcher, condition: Condition | undefined): BodyNeed {
  // What is new depends on where the body says that the call sends to.
  if (readsBody || condition?.readsBody === true || condition?.factsRead.has('novel') === true) return 'json';
  if (decide === 'hold' || condition?.readsDestinations === true) return 'bytes';
  return (condition?.factsRead.size ?? 0) > 0 ? 'whole' : 'stream';
}

/**
 * The messages that open and keep an MCP session have no arguments, and nothing classifies or counts them. So a rule
 * that names no message does not match them when it holds, when it denies by arguments, or when it reads such a fact.
 */
function sparesSessions({ match, decide }: RuleOptions, condition: Condition | undefined): boolean {
  if (!namesNoMessage(match)) return false;
  if (decide === 'hold') return true;
  if (condition === undefined) return false;
  const { readsBody, readsHints, factsRead, readsAction } = condition;
  const readsFacts = readsAction || factsRead.has('tainted') || factsRead.has('meter') || factsRead.has('novel');
  return readsFacts || (decide === 'deny' && (readsBody || readsHints));
}

function requirementsOf(
  tier: string | undefined,
  tiers: Readonly<Record<string, TierOptions>>,
): readonly Requirement[] {
  const options = tierOf(tier, tiers);
  if (tier === undefined || options === undefined) throw new TypeError('a hold rule needs a tier that exists');
  const { decideWithinMs, useWithinMs, stepUp, assurance, bindSession, reasonRequired, tellAgent, requireTask } =
    options;
  return needsOf(options).map(({ from, count, escalate }) => ({
    tier,
    ...(asksOwner({ from }) ? { reviewers: [], owner: true as const } : { reviewers: from }),
    ...{ count, decideWithinMs, useWithinMs, stepUp, reasonRequired },
    ...(assurance && { assurance }),
    ...(bindSession && { bindSession }),
    ...(tellAgent && { tellAgent }),
    ...(requireTask && { requireTask }),
    ...(escalate && { escalate }),
  }));
}

function tierOf(tier: string | undefined, tiers: Readonly<Record<string, TierOptions>>): TierOptions | undefined {
  return tier !== undefined && Object.hasOwn(tiers, tier) ? tiers[tier] : undefined;
}

/** The candidates for a call, by upstream and method, in file order: other upstreams' rules are never looked at. */
export interface RuleIndex {
  candidates(upstream: string, method: string): readonly CompiledRule[];
  /** The rules that could treat the call more strictly under another method. */
  byMethod(upstream: string, method: string): readonly CompiledRule[];
  protocol(upstream: string): Protocol | undefined;
  caseSensitive(upstream: string): boolean;
}

export function indexRules(
  rules: readonly CompiledRule[],
  upstreams: Readonly<Record<string, Pick<PolicyUpstream, 'protocol' | 'caseSensitive'>>>,
): RuleIndex {
  const matches = indexMatches(rules, Object.keys(upstreams));
  const known = new Map(Object.entries(upstreams));
  const tellingApart = new Map<string, readonly CompiledRule[]>();
  return {
    candidates: matches.candidates,
    byMethod(upstream, method) {
      const key = `${method} ${upstream}`;
      const telling = tellingApart.get(key) ?? matches.of(upstream).filter((rule) => tellsApart(rule.options, method));
      // Methods come from a closed list, and upstreams from the configuration.
      tellingApart.set(key, telling);
      return telling;
    },
    protocol: (upstream) => known.get(upstream)?.protocol,
    caseSensitive: (upstream) => known.get(upstream)?.caseSensitive === true,
  };
}

/**
 * Whether a rule treats methods differently: it allows this method and not every other one, stops another method and
 * not this one, or has a condition that reads the method, or what the action is by its method.
 */
function tellsApart({ match: { methods }, decide, when }: RuleOptions, method: string): boolean {
  if (when?.includes('method') || when?.includes('action')) return true;
  if (methods === undefined) return false;
  return decide === 'allow' ? methods.includes(method) : !methods.includes(method);
}
