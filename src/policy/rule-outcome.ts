// What a set of matched rules says, independent of the caller and the arguments. It is computed once per set and
// remembered. It is not a verdict: what depends on the call (templates, an approval) is decided in policy.ts each time.

import { canonicalDigest } from '../domain/canonical.ts';
import type { CredentialPlan, Decision, MatchedRule, Reason, Requirement } from '../domain/decision.ts';
import type { JsonObject } from '../domain/json.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { Digests } from './digests.ts';
import type { PathParams } from './paths.ts';
import type { PolicyUpstream } from './rules.ts';
import { templateNames } from './scopes.ts';

/** A rule that counts for one call. */
export interface Match {
  readonly rule: CompiledRule;
  readonly why: MatchedRule['why'];
  readonly params: PathParams;
}

export interface RuleOutcome {
  /** The decision without an approval; with a credential only where its scope is the same for every call. */
  readonly decision: Decision;
  /** Whether a seat is for the owners of what the call concerns. */
  readonly asksOwner: boolean;
  /** A scope with templates, and the rule whose path parameters fill it. */
  readonly narrowing?: {
    readonly plan: Omit<CredentialPlan, 'scope'>;
    readonly template: JsonObject;
    readonly rule: CompiledRule;
  };
}

/** How many sets are remembered: enough for any real policy, and a bound for what a caller can provoke. */
const REMEMBERED_SETS = 1000;

/** Part of the key of a set: why a rule counts. */
const MARKS: Readonly<Record<MatchedRule['why'], string>> = { matched: '', condition_failed: '?', over_budget: '!' };

export function createRuleOutcomes(
  upstreams: Readonly<Record<string, PolicyUpstream>>,
  digests: Digests,
  isLabel: (text: string) => boolean,
): (matches: readonly Match[], upstream: string) => RuleOutcome {
  const remembered = new Map<string, RuleOutcome>();
  return (matches, upstream) => {
    let key = upstream;
    for (const { rule, why } of matches) key += `,${rule.index}${MARKS[why]}`;
    let findings = remembered.get(key);
    if (findings === undefined) {
      findings = find(matches, upstreams[upstream]?.credential, digests, isLabel);
      if (remembered.size >= REMEMBERED_SETS) remembered.clear();
      remembered.set(key, findings);
    }
    return findings;
  };
}

function find(
  matches: readonly Match[],
  credential: string | undefined,
  digests: Digests,
  isLabel: (text: string) => boolean,
): RuleOutcome {
  const facts = describe(matches, digests, isLabel);
  const strictest = (['deny', 'hold', 'allow'] as const).find((effect) =>
    matches.some(({ rule }) => rule.options.decide === effect),
  );
  const deny = (...reasons: Reason[]): RuleOutcome => ({
    decision: { ...facts, effect: 'deny', reasons, requirements: [] },
    asksOwner: false,
  });
  if (strictest === undefined) return deny('no_matching_rule');
  const decisive = matches.filter(({ rule }) => rule.options.decide === strictest).map(({ rule }) => rule);
  const reasons = decisive.map(({ options }): Reason => `rule:${options.id}`);
  const messages = decisive.flatMap(({ options }) => options.message ?? []);
  const notify = [...new Set(decisive.flatMap((rule) => rule.notify))];
  const say = { ...(messages.length > 0 && { messages }), ...(notify.length > 0 && { notify }) };
  if (strictest === 'deny') return { decision: { ...deny(...reasons).decision, ...say }, asksOwner: false };

  const decision: Decision = {
    ...facts,
    effect: strictest,
    reasons,
    requirements: requirementsOf(decisive),
    ...say,
  };
  const asksOwner = decision.requirements.some(({ owner }) => owner);
  if (credential === undefined) return { decision, asksOwner };
  const narrowing = decisive.filter(({ options }) => options.credential !== undefined);
  const [rule] = narrowing;
  const template = rule?.options.credential ?? {};
  // A rule without `credential` leaves the scope to the others; rules that disagree are refused. Two different
  // templates may give the same scope for some calls. They are refused too, because nobody could say which one was
  // meant.
  const perCall = strictest === 'allow' && decisive.some(({ options }) => options.mint === 'perCall');
  const plan = { name: credential, ...(perCall && { perCall }) };
  const distinct = new Set(narrowing.map((each) => canonicalDigest('countersign/scope/v1', each.options.credential)));
  if (distinct.size > 1) return deny('conflicting_credential_scopes', ...reasons);
  if (rule !== undefined && templateNames(template).length > 0)
    return { decision, asksOwner, narrowing: { plan, template, rule } };
  return { decision: { ...decision, credential: { ...plan, scope: template } }, asksOwner };
}

function describe(matches: readonly Match[], digests: Digests, isLabel: (text: string) => boolean) {
  const words = new Set(matches.flatMap(({ rule }) => rule.options.data ?? []).filter((text) => !isLabel(text)));
  return {
    rules: matches.map(matchedRule),
    ...(words.size > 0 && { dataWords: [...words] }),
    policyDigest: digests.policy,
    decisionDigest: digests.decision(matches.map(({ rule }) => rule)),
  };
}

function matchedRule({ rule: { options }, why }: Match): MatchedRule {
  const { id, decide: effect, maintainer } = options;
  return maintainer === undefined ? { id, effect, why } : { id, effect, why, maintainer };
}

/** Each tier counts once, however many rules name it. */
function requirementsOf(rules: readonly CompiledRule[]): readonly Requirement[] {
  const byTier = new Map(rules.flatMap(({ requirements }) => requirements.map(({ tier }) => [tier, requirements])));
  return [...byTier.values()].flat();
}
