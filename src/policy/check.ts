// What is wrong with a policy before it is put in force: paths, conditions and scope templates that cannot work. Reports
// all faults at once, each with its place, so that `countersign check` can point at lines. References between names
// (tiers, upstreams, credentials) are checked in config/; this file checks only what needs the compilers.

import type { Fault } from '../settings/faults.ts';
import { suggest } from '../settings/suggestions.ts';
import { BUDGET } from './cel/budget.ts';
import { compileCondition } from './conditions.ts';
import { type Language, languageOf } from './language.ts';
import { compileMeterMatch, compileMeterValue } from './meters.ts';
import { compilePath, type PathPattern } from './paths.ts';
import { type MeterOptions, namesOf, type PolicyOptions, type RuleOptions } from './rules.ts';
import { templateNames } from './scopes.ts';

/** Nothing but warnings when the policy compiles. */
export function checkPolicy(policy: Pick<PolicyOptions, 'rules' | 'tiers' | 'meters'>): readonly Fault[] {
  const { rules, tiers } = policy;
  const language = languageOf(namesOf(policy));
  return [
    ...rules.flatMap((rule, index) => under(['rules', index], checkRule(rule, tiers, language))),
    ...Object.entries(policy.meters ?? {}).flatMap(([name, meter]) => under(['meters', name], checkMeter(name, meter))),
  ];
}

const under = (path: Fault['path'], faults: Iterable<Fault>): readonly Fault[] =>
  [...faults].map((fault) => ({ ...fault, path: [...path, ...fault.path] }));

const growthWarning = (part: string): string =>
  `The time for \`${part}\` can grow with the square of what an agent sends. Past ${BUDGET} steps the condition counts as failed: ` +
  'a hold or deny rule then matches, an allow rule does not.';

const HISTORY_WARNING =
  'Decide by `tainted`, `meter` or `novel` instead of `task.calls`: it holds only the latest 200 calls under one root, ' +
  'and an agent that makes more calls, or names another task, is past it.';

function* checkRule(rule: RuleOptions, tiers: PolicyOptions['tiers'], language: Language): Generator<Fault> {
  const pattern = rule.match.path === undefined ? undefined : attempt(() => compilePath(rule.match.path as string));
  if (typeof pattern === 'string') yield { path: ['match', 'path'], message: pattern };
  else yield* checkTemplates(rule, pattern);
  const { when } = rule;
  const condition = when === undefined ? undefined : attempt(() => compileCondition(when, language));
  if (rule.decide === 'allow' && typeof condition === 'object' && condition.readsHints) {
    yield {
      path: ['when'],
      message:
        'Use `hints` in hold and deny rules only: they are the server’s own words, and no allow rule may rest on them.',
    };
  }
  if (typeof condition === 'string') yield { path: ['when'], message: condition };
  else if (condition?.growth !== undefined)
    yield { path: ['when'], severity: 'warning', message: growthWarning(condition.growth) };
  if (typeof condition === 'object' && condition.factsRead.has('history'))
    yield { path: ['when'], severity: 'warning', message: HISTORY_WARNING };
  if (rule.decide === 'hold' && (rule.tier === undefined || !Object.hasOwn(tiers, rule.tier))) {
    yield { path: ['tier'], message: 'Write the name of a tier under `tiers`: a hold rule needs one.' };
  }
}

function* checkTemplates({ credential, match }: RuleOptions, pattern: PathPattern | undefined): Generator<Fault> {
  const known = pattern?.names ?? [];
  for (const name of new Set(templateNames(credential ?? {}))) {
    if (known.includes(name)) continue;
    const instead =
      match.path === undefined
        ? `Set \`match.path\` to a path with the parameter \`:${name}\`: this rule has no path.`
        : `The path has no parameter \`${name}\`. ${suggest(name, 'Parameters', known)}`.trimEnd();
    yield { path: ['credential'], message: instead };
  }
}

function* checkMeter(name: string, meter: MeterOptions): Generator<Fault> {
  const { when, value, distinct } = meter;
  const match = attempt(() => compileMeterMatch(name, { ...meter, ...(when !== undefined && { when: 'true' }) }));
  if (typeof match === 'string') yield { path: ['match', 'path'], message: match };
  if (when !== undefined) {
    const condition = attempt(() => compileMeterMatch(name, { ...meter, match: {} }).condition);
    if (typeof condition === 'string') yield { path: ['when'], message: condition };
  }
  if (value !== undefined && distinct !== undefined)
    yield { path: ['distinct'], message: 'Remove `value` or `distinct`: a meter adds amounts up, or counts values.' };
  const expression = attempt(() => compileMeterValue(meter));
  if (typeof expression === 'string')
    yield { path: [distinct === undefined ? 'value' : 'distinct'], message: expression };
}

/** What the compiler made, or the sentence with which it refused. */
function attempt<T>(compile: () => T): T | string {
  try {
    return compile();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
