// The decision point: weighs every rule that matches a call, strictest wins (deny > hold > allow), no match is a deny.
// It trusts the action and the principal as given, and refuses whatever it cannot evaluate. A compiled policy never
// changes; a reload makes a new one, and no verdict is ever cached.

import type { BodyNeed } from '../domain/action.ts';
import type { Classifiable } from '../domain/classification.ts';
import type {
  Decision,
  DecisionInput,
  MatchedRule,
  Outlook,
  OutlookInput,
  Policy,
  Reason,
} from '../domain/decision.ts';
import type { HistoryFact } from '../domain/facts.ts';
import type { Metering } from '../domain/meter.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import { becauseOf } from './because.ts';
import { checkPolicy } from './check.ts';
import { createClassifier } from './classifier.ts';
import { compileRule, indexRules, type RuleIndex } from './compiled-rule.ts';
import type { Condition } from './conditions.ts';
import { createDigests, withPeople } from './digests.ts';
import { languageOf } from './language.ts';
import { mcpLifecycleRules, toolChangeRules } from './mcp-lifecycle.ts';
import { Meters } from './meters.ts';
import { recogniseCall } from './novelty.ts';
import { seatOwners } from './owner-seats.ts';
import { type PathParams, type ReadPath, readPath } from './paths.ts';
import { createRuleOutcomes, type Match, type RuleOutcome } from './rule-outcome.ts';
import { namesOf, type PolicyOptions } from './rules.ts';
import { fillScope, UnsafeParameter } from './scopes.ts';
import { CallVariables } from './variables/variables.ts';
import { Vocabulary } from './vocabulary.ts';

/** Throws TypeError when checkPolicy has anything to say about the options. */
export function compilePolicy(options: PolicyOptions): Policy {
  const faults = checkPolicy(options).filter(({ severity }) => severity !== 'warning');
  if (faults.length > 0)
    throw new TypeError(faults.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  const builtIn = Object.entries(options.upstreams).flatMap(
    ([name, { protocol, mcpLifecycle, toolChanges, servers }]) => {
      if (protocol !== 'mcp') return [];
      // A rule for a shared mount applies to each of its servers. `toolChanges` is each server's own.
      const isServer = readUpstreamName(name).server !== undefined;
      return [
        ...(mcpLifecycle === false || isServer ? [] : mcpLifecycleRules(name)),
        ...(servers === undefined ? toolChangeRules(name, toolChanges) : []),
      ];
    },
  );
  const language = languageOf(namesOf(options));
  const rules = [...options.rules, ...builtIn].map((rule, index) => compileRule(rule, index, options.tiers, language));
  const index = indexRules(rules, options.upstreams);
  const readsFacts = rules.some(({ condition }) => (condition?.factsRead.size ?? 0) > 0);
  const readsNovelty = rules.some(({ condition }) => condition?.factsRead.has('novel'));
  const vocabulary = new Vocabulary(options);
  const classifier = createClassifier(options, rules, vocabulary);
  const meters = new Meters(options, vocabulary);
  const readsMeters = rules.some(({ condition }) => (condition?.metersRead.size ?? 0) > 0);
  const digests = createDigests(options, rules, meters);
  const findings = createRuleOutcomes(options.upstreams, digests, (text) => vocabulary.label(text) !== undefined);
  return {
    digest: digests.policy,
    meters: meters.all,
    bodyNeed: (upstream, method, path) =>
      classifier.readsBody(upstream, method, path) ? 'json' : weighBodyNeed(index, meters, upstream, method, path),
    factsRead: (upstream, method, path) => (readsFacts ? factsRead(index, upstream, method, path) : NO_FACTS),
    meterings: (call) => (meters.any ? meteringsOf(index, meters, readsMeters, call) : NO_METERINGS),
    classify: classifier.classify,
    destinations: (call) => vocabulary.destinations.find(call),
    knownDestinations: (call) => vocabulary.destinations.known(call),
    recognise: (call, classification) =>
      readsNovelty ? recogniseCall(index, call, classification, vocabulary.destinations.find(call)) : undefined,
    outlook(input) {
      try {
        return foresee(index, vocabulary, input);
      } catch {
        return 'deny';
      }
    },
    decide(input) {
      try {
        const { matches, overBudget } = matchRules(index, vocabulary, input);
        const decision = judge(findings(matches, input.action.upstream), matches, input);
        const because =
          readsFacts && decision.effect !== 'allow'
            ? becauseOf(matches, decision.effect, input.facts, options.tellFacts ?? true)
            : [];
        const told = because.length === 0 ? decision : { ...decision, because };
        return overBudget ? { ...told, reasons: [...told.reasons, 'over_budget'] } : told;
      } catch {
        return { ...findings([], input.action.upstream).decision, reasons: ['evaluation_failed'] };
      }
    },
  };
}

function weighBodyNeed(index: RuleIndex, meters: Meters, upstream: string, method: string, path: string): BodyNeed {
  if (index.protocol(upstream) === 'mcp') return 'json';
  const read = readPath(path);
  let need: BodyNeed = 'stream';
  if (read === undefined) return need;
  if (meters.readsBody(upstream, method, path)) return 'json';
  const caseSensitive = index.caseSensitive(upstream);
  for (const rule of index.candidates(upstream, method)) {
    if (rule.bodyNeed === 'stream' || rule.matchPath(read, caseSensitive) === undefined) continue;
    if (rule.bodyNeed === 'json') return 'json';
    if (need !== 'bytes') need = rule.bodyNeed;
  }
  if (
    need === 'stream' &&
    method !== 'GET' &&
    method !== 'HEAD' &&
    (index.byMethod(upstream, method).some((rule) => rule.matchPath(read, caseSensitive) !== undefined) ||
      meters.countsByMethod(upstream, method, path))
  )
    return 'method';
  return need;
}

const NO_FACTS: ReadonlySet<HistoryFact> = new Set();

function factsRead(index: RuleIndex, upstream: string, method: string, path: string): ReadonlySet<HistoryFact> {
  const read = readPath(path);
  if (read === undefined) return NO_FACTS;
  const caseSensitive = index.caseSensitive(upstream);
  const found = new Set<HistoryFact>();
  for (const { condition, matchPath } of index.candidates(upstream, method))
    if (condition !== undefined && condition.factsRead.size > 0 && matchPath(read, caseSensitive) !== undefined)
      for (const fact of condition.factsRead) found.add(fact);
  return found;
}

const NO_METERINGS: readonly Metering[] = [];

function meteringsOf(index: RuleIndex, meters: Meters, anyRead: boolean, call: Classifiable): readonly Metering[] {
  const read = new Set<string>();
  const path = anyRead ? readPath(call.action.path) : undefined;
  if (path !== undefined) {
    const { upstream, method } = call.action;
    const caseSensitive = index.caseSensitive(upstream);
    for (const { condition, matchPath } of index.candidates(upstream, method))
      if (condition !== undefined && condition.metersRead.size > 0 && matchPath(path, caseSensitive) !== undefined)
        for (const name of condition.metersRead) read.add(name);
  }
  const measured = meters.measure(call);
  if (measured.length === 0 && read.size === 0) return NO_METERINGS;
  const counting = new Set(measured.map(({ meter }) => meter.name));
  return [
    ...measured.map(({ meter, adds }) => ({ meter, adds, read: read.has(meter.name) })),
    ...[...read].flatMap((name) => {
      const meter = counting.has(name) ? undefined : meters.named(name);
      return meter === undefined ? [] : [{ meter, read: true }];
    }),
  ];
}

/**
 * Finds the rules that match for certain, and those that match for some arguments: without arguments, a condition that
 * reads them fails.
 */
function foresee(index: RuleIndex, vocabulary: Vocabulary, input: OutlookInput): Outlook {
  const certain = new Set<string>();
  const possible = new Set<string>();
  const caseSensitive = index.caseSensitive(input.action.upstream);
  const variables = new CallVariables(input, vocabulary, caseSensitive);
  for (const rule of index.candidates(input.action.upstream, input.action.method)) {
    const path = readPath(input.action.path);
    const params = path && rule.matchRpc(input.action, caseSensitive) ? rule.matchPath(path, caseSensitive) : undefined;
    if (params === undefined) continue;
    variables.params = params;
    const verdict = rule.condition?.evaluate(variables) ?? true;
    if (verdict !== false) (verdict === true ? certain : possible).add(rule.options.decide);
  }
  if (certain.has('deny')) return 'deny';
  if (certain.has('hold')) return 'hold';
  const allowed = certain.has('allow') || possible.has('allow');
  if (possible.has('hold')) return allowed ? 'may_hold' : 'hold';
  return allowed ? 'allow' : 'deny';
}

function matchRules(
  index: RuleIndex,
  vocabulary: Vocabulary,
  input: DecisionInput,
): { readonly matches: readonly Match[]; readonly overBudget: boolean } {
  const path = readPath(input.action.path);
  if (path === undefined) return { matches: [], overBudget: false };
  const lazy: { variables?: CallVariables } = {};
  const matches = collect(index, input, path, (condition, params) => {
    lazy.variables ??= new CallVariables(input, vocabulary, index.caseSensitive(input.action.upstream));
    lazy.variables.params = params;
    const verdict = condition.evaluate(lazy.variables);
    return verdict === true ? 'matched' : verdict === false ? undefined : 'condition_failed';
  });
  // When the budget is spent, no condition of the call has a result. So the order of the rules decides nothing.
  const overBudget = path.overBudget || lazy.variables?.budget.spent === true;
  return { matches: overBudget ? collect(index, input, path, () => 'over_budget') : matches, overBudget };
}

type Judgement = (condition: Condition, params: PathParams) => MatchedRule['why'] | undefined;

function collect(index: RuleIndex, input: DecisionInput, path: ReadPath, judgeCondition: Judgement): readonly Match[] {
  const matches: Match[] = [];
  const caseSensitive = index.caseSensitive(input.action.upstream);
  for (const rule of index.candidates(input.action.upstream, input.action.method)) {
    if (!rule.matchRpc(input.action, caseSensitive)) continue;
    const params = rule.matchPath(path, caseSensitive);
    if (params === undefined) continue;
    const why = rule.condition === undefined ? 'matched' : judgeCondition(rule.condition, params);
    // What cannot be evaluated makes the outcome stricter, never milder.
    if (why !== undefined && (why === 'matched' || rule.options.decide !== 'allow'))
      matches.push({ rule, why, params });
  }
  return matches;
}

/** Adds what depends on the call: path parameters in the credential's scope, a body that was not read, an approval. */
function judge(outcome: RuleOutcome, matches: readonly Match[], input: DecisionInput): Decision {
  const { narrowing } = outcome;
  const decision = outcome.asksOwner ? withOwners(outcome.decision, input) : outcome.decision;
  if (decision.effect === 'deny') return decision;
  if (decision.effect === 'hold' && input.action.streamed) return denied(decision, 'body_not_read');
  const planned = narrowing === undefined ? decision : narrow(decision, narrowing, matches);
  if (planned.effect !== 'hold' || input.approval?.satisfies(planned.requirements) !== true) return planned;
  return { ...planned, effect: 'allow' };
}

function withOwners(decision: Decision, { facts }: DecisionInput): Decision {
  const requirements = seatOwners(decision.requirements, facts.classification.owners);
  return { ...decision, requirements, decisionDigest: withPeople(decision.decisionDigest, requirements) };
}

function narrow(
  decision: Decision,
  { plan, template, rule }: NonNullable<RuleOutcome['narrowing']>,
  matches: readonly Match[],
): Decision {
  const params = matches.find((match) => match.rule === rule)?.params ?? new Map();
  try {
    return { ...decision, credential: { ...plan, scope: fillScope(template, params) } };
  } catch (error) {
    if (error instanceof UnsafeParameter) return denied(decision, `unsafe_parameter:${error.parameter}`);
    throw error;
  }
}

function denied({ credential: _, ...decision }: Decision, why: Reason): Decision {
  return { ...decision, effect: 'deny', reasons: [why, ...decision.reasons], requirements: [] };
}
