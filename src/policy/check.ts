// What is wrong with a policy before it is put in force: paths, conditions and scope templates that cannot work. All
// faults at once, each with its place, so that `countersign check` can point at lines. References between names (tiers,
// upstreams, credentials) are checked where the configuration is read; here only what needs the compilers.

import type { Fault } from '../settings/faults.ts';
import { BUDGET } from './cel/meter.ts';
import { compileCondition } from './conditions.ts';
import { compilePath, type PathPattern } from './paths.ts';
import type { PolicyOptions, RuleOptions } from './rules.ts';
import { templateNames } from './scopes.ts';

/** Nothing but warnings when the policy compiles. */
export function checkPolicy({ rules, tiers }: Pick<PolicyOptions, 'rules' | 'tiers'>): readonly Fault[] {
  return rules.flatMap((rule, index) =>
    [...checkRule(rule, tiers)].map((fault) => ({ ...fault, path: ['rules', index, ...fault.path] })),
  );
}

const growthWarning = (part: string): string =>
  `The time for \`${part}\` can grow with the square of what an agent sends. Past ${BUDGET} steps the condition counts as failed: ` +
  'a hold or deny rule then matches, an allow rule does not.';

function* checkRule(rule: RuleOptions, tiers: PolicyOptions['tiers']): Generator<Fault> {
  const pattern = rule.match.path === undefined ? undefined : attempt(() => compilePath(rule.match.path as string));
  if (typeof pattern === 'string') yield { path: ['match', 'path'], message: pattern };
  else yield* checkTemplates(rule, pattern);
  const { when } = rule;
  const condition = when === undefined ? undefined : attempt(() => compileCondition(when));
  if (rule.decide === 'allow' && typeof condition === 'object' && condition.readsHints) {
    yield {
      path: ['when'],
      message: 'An allow rule cannot rest on hints: they are the server’s own words. Use them to hold or deny.',
    };
  }
  if (typeof condition === 'string') yield { path: ['when'], message: condition };
  else if (condition?.growth !== undefined)
    yield { path: ['when'], severity: 'warning', message: growthWarning(condition.growth) };
  if (rule.decide === 'hold' && (rule.tier === undefined || !Object.hasOwn(tiers, rule.tier))) {
    yield { path: ['tier'], message: 'A hold rule names a tier under `tiers`.' };
  }
}

function* checkTemplates({ credential, match }: RuleOptions, pattern: PathPattern | undefined): Generator<Fault> {
  for (const name of new Set(templateNames(credential ?? {}))) {
    if (pattern?.names.includes(name)) continue;
    yield {
      path: ['credential'],
      message: `{${name}} is no parameter of ${match.path === undefined ? 'this rule, which has no path' : `the path ${match.path}`}`,
    };
  }
}

/** What the compiler made, or the sentence with which it refused. */
function attempt<T>(compile: () => T): T | string {
  try {
    return compile();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
  }
}
