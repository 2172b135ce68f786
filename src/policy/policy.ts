// The decision point: weighs every rule that matches a call, strictest wins (deny > hold > allow), no match is a deny.
// It trusts the action and the principal as given, and refuses whatever it cannot evaluate. A compiled policy never changes;
// a reload makes a new one, and no verdict is ever cached.

import type { BodyNeed } from '../domain/action.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import type { CredentialPlan, Decision, DecisionInput, MatchedRule, Policy, Requirement } from '../domain/decision.ts';
import { checkPolicy } from './check.ts';
import { type CompiledRule, compileRule, indexRules, type RuleIndex } from './compiled-rule.ts';
import { createDigests, type Digests } from './digests.ts';
import { mcpLifecycleRules } from './mcp-lifecycle.ts';
import { type PathParams, readPath } from './paths.ts';
import type { PolicyOptions, PolicyUpstream } from './rules.ts';
import { fillScope, UnsafeParameter } from './scopes.ts';
import { CallVariables } from './variables.ts';

/** A rule that counts for one call. */
interface Match {
  readonly rule: CompiledRule;
  readonly why: MatchedRule['why'];
  readonly params: PathParams;
}

type Outcome = Pick<Decision, 'effect' | 'reasons' | 'requirements' | 'credential'>;

const deny = (...reasons: string[]): Outcome => ({ effect: 'deny', reasons, requirements: [] });

/** Throws TypeError when checkPolicy has anything to say about the options. */
export function compilePolicy(options: PolicyOptions): Policy {
  const faults = checkPolicy(options);
  if (faults.length > 0) throw new TypeError(faults.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  const builtIn = Object.entries(options.upstreams).flatMap(([name, { protocol, mcpLifecycle }]) =>
    protocol === 'mcp' && mcpLifecycle !== false ? mcpLifecycleRules(name) : [],
  );
  const rules = [...options.rules, ...builtIn].map((rule, index) => compileRule(rule, index, options.tiers));
  const index = indexRules(rules, options.upstreams);
  const digests = createDigests(options, rules);
  return {
    digest: digests.policy,
    bodyNeed: (upstream, method, path) => weighBodyNeed(index, upstream, method, path),
    decide(input) {
      try {
        const matches = matchRules(index, input);
        return describe(weigh(matches, input, options.upstreams[input.action.upstream]), matches, digests);
      } catch {
        return describe(deny('evaluation_failed'), [], digests);
      }
    },
  };
}

function weighBodyNeed(index: RuleIndex, upstream: string, method: string, path: string): BodyNeed {
  if (index.protocol(upstream) === 'mcp') return 'json';
  const read = readPath(path);
  let need: BodyNeed = 'stream';
  if (read === undefined) return need;
  for (const rule of index.candidates(upstream, method)) {
    if ((!rule.readsBody && rule.options.decide !== 'hold') || rule.matchPath(read) === undefined) continue;
    if (rule.readsBody) return 'json';
    need = 'bytes';
  }
  return need;
}

function matchRules(index: RuleIndex, input: DecisionInput): readonly Match[] {
  const path = readPath(input.action.path);
  if (path === undefined) return [];
  const matches: Match[] = [];
  let variables: CallVariables | undefined;
  for (const rule of index.candidates(input.action.upstream, input.action.method)) {
    if (!rule.matchRpc(input.action)) continue;
    const params = rule.matchPath(path);
    if (params === undefined) continue;
    if (rule.condition === undefined) {
      matches.push({ rule, why: 'matched', params });
      continue;
    }
    variables ??= new CallVariables(input);
    variables.request.params = params;
    const verdict = rule.condition.evaluate(variables);
    if (verdict === true) matches.push({ rule, why: 'matched', params });
    // What cannot be evaluated makes the outcome stricter, never milder.
    else if (verdict === 'failed' && rule.options.decide !== 'allow') matches.push({ rule, why: 'condition_failed', params });
  }
  return matches;
}

function weigh(matches: readonly Match[], input: DecisionInput, upstream: PolicyUpstream | undefined): Outcome {
  const strictest = (['deny', 'hold', 'allow'] as const).find((effect) => matches.some(({ rule }) => rule.options.decide === effect));
  if (strictest === undefined) return deny('no_matching_rule');
  const decisive = matches.filter(({ rule }) => rule.options.decide === strictest);
  const reasons = decisive.map(({ rule }) => `rule:${rule.options.id}`);
  if (strictest === 'deny') return deny(...reasons);
  if (strictest === 'hold' && input.action.streamed) return deny('body_not_read', ...reasons);

  const plan = planCredential(decisive, upstream?.credential);
  if ('refusal' in plan) return deny(plan.refusal, ...reasons);
  const requirements = requirementsOf(decisive);
  const approved = requirements.length > 0 && input.approval?.satisfies(requirements) === true;
  return { effect: approved ? 'allow' : strictest, reasons, requirements, ...plan };
}

/** Every distinct tier is a requirement of its own. */
function requirementsOf(matches: readonly Match[]): readonly Requirement[] {
  const byTier = new Map(matches.flatMap(({ rule: { requirement } }) => (requirement ? [[requirement.tier, requirement] as const] : [])));
  return [...byTier.values()];
}

/** The narrowing of the decisive rules: those that say nothing leave it to the others, those that disagree are refused. */
function planCredential(decisive: readonly Match[], name: string | undefined): { readonly credential?: CredentialPlan } | { readonly refusal: string } {
  if (name === undefined) return {};
  try {
    const scopes = decisive.flatMap(({ rule, params }) => (rule.options.credential ? [fillScope(rule.options.credential, params)] : []));
    const first = scopes[0];
    if (scopes.length > 1 && new Set(scopes.map((scope) => canonicalDigest('countersign/scope/v1', scope))).size > 1)
      return { refusal: 'conflicting_credential_scopes' };
    return { credential: { name, scope: first ?? {} } };
  } catch (error) {
    if (error instanceof UnsafeParameter) return { refusal: `unsafe_parameter:${error.parameter}` };
    throw error;
  }
}

function describe(outcome: Outcome, matches: readonly Match[], digests: Digests): Decision {
  const options = matches.map(({ rule }) => rule.options);
  const labels = new Set(options.flatMap(({ data }) => (data === undefined ? [] : [data])));
  const reversible = options.flatMap((rule) => (rule.reversible === undefined ? [] : [rule.reversible]));
  return {
    ...outcome,
    rules: matches.map(({ rule, why }) => ({ id: rule.options.id, effect: rule.options.decide, why })),
    ...(labels.size > 0 && { data: [...labels].join(', ') }),
    ...(reversible.length > 0 && { reversible: !reversible.includes(false) }),
    policyDigest: digests.policy,
    decisionDigest: digests.decision(matches.map(({ rule }) => rule)),
  };
}
