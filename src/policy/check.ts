// What is wrong with a policy before it is put in force: paths, conditions and scope templates that cannot work. Reports
// all faults at once, each with its place, so that `countersign check` can point at lines. References between names
// (tiers, upstreams, credentials) are checked in config/; this file checks only what needs the compilers.

import { OPERATIONS } from '../domain/classification.ts';
import type { Fault } from '../settings/faults.ts';
import { suggest } from '../settings/suggestions.ts';
import { BUDGET } from './cel/budget.ts';
import { type Condition, compileCondition } from './conditions.ts';
import { compileSending } from './destinations/sending.ts';
import { EXTERNAL, refusePattern } from './destinations/trust-table.ts';
import { type Language, languageOf } from './language.ts';
import { compileAmount, compileDistinct } from './meters.ts';
import { compilePath, type PathPattern } from './paths.ts';
import { type MeterOptions, namesOf, type PolicyOptions, type ResourceOptions, type RuleOptions } from './rules.ts';
import { templateNames } from './scopes.ts';
import { SELECTING } from './selector.ts';
import { unboundWords, type Word } from './words.ts';

/** Nothing but warnings when the policy compiles. */
export function checkPolicy(options: PolicyOptions): readonly Fault[] {
  const known = knownTexts(options);
  const language = languageOf(namesOf(options));
  return [
    ...checkDestinations(options.destinations),
    ...under('resources', options.resources, (resource) => checkResource(resource)),
    ...Object.entries(options.meters ?? {}).flatMap(([name, meter]) =>
      [...checkMeter(meter)].map((fault) => ({ ...fault, path: ['meters', name, ...fault.path] })),
    ),
    ...under('rules', options.rules, (rule) => checkRule(rule, options, language, known)),
  ];
}

/** The faults of each entry of a section, with their place in the file. */
function under<Entry>(
  section: string,
  entries: readonly Entry[],
  check: (entry: Entry) => Iterable<Fault>,
): readonly Fault[] {
  return entries.flatMap((entry, index) =>
    [...check(entry)].map((fault) => ({ ...fault, path: [section, index, ...fault.path] })),
  );
}

/** Every value that something in a condition can have. */
type KnownTexts = ReadonlyMap<string, { readonly are: string; readonly texts: readonly string[] }>;

function knownTexts({ sensitivity, resources, upstreams, destinations, taints }: PolicyOptions): KnownTexts {
  const own = Object.values(upstreams).flatMap((upstream) => [upstream, ...Object.values(upstream.servers ?? {})]);
  const environments = [...resources, ...own].flatMap(({ environment }) => environment ?? []);
  return new Map([
    ['action.data', { are: 'Labels', texts: sensitivity }],
    ['action.operation', { are: 'Operations', texts: OPERATIONS }],
    ['action.destination', { are: 'Names', texts: [...Object.keys(destinations), EXTERNAL] }],
    ['action.environment', { are: 'Environments', texts: [...new Set(['sandbox', 'production', ...environments])] }],
    ['tainted', { are: 'Taints', texts: Object.keys(taints) }],
  ]);
}

const growthWarning = (part: string): string =>
  `The time for \`${part}\` can grow with the square of what an agent sends. Past ${BUDGET} steps the condition counts as failed: ` +
  'a hold or deny rule then matches, an allow rule does not.';

const UNNAMED_WARNING =
  'Decide by `tainted`, or by `taintedBy.agent` too: an agent that reads without a task, and for nobody, leaves no mark ' +
  'that this condition sees. Or set `requireTask: attested` on every resource with the taint, or `subject: person` at the ' +
  'issuers.';

const wordWarning = ({ text, header }: Word): string =>
  `The agent itself chooses \`${text}\`, so this rule allows whatever an agent calls by that name. ` +
  (header === undefined
    ? 'Decide by a fact, or add `task.attested` to the condition.'
    : 'Decide by a fact, or add the field to `boundHeaders` of the upstream.');

const HISTORY_WARNING =
  'Decide by `tainted`, `meter` or `novel` instead of `task.calls`: it holds only the latest 200 calls under one root, ' +
  'and an agent that makes more calls, or names another task, is past it.';

function* checkRule(
  rule: RuleOptions,
  options: PolicyOptions,
  language: Language,
  known: KnownTexts,
): Generator<Fault> {
  const { tiers, sensitivity } = options;
  const pattern = compiled(rule.match.path, compilePath);
  if (typeof pattern === 'string') yield { path: ['match', 'path'], message: pattern };
  else yield* checkTemplates(rule, pattern);
  const condition = compiled(rule.when, (when) => compileCondition(when, language));
  yield* checkCondition(condition, known);
  if (rule.decide === 'allow' && typeof condition === 'object' && condition.readsHints) {
    yield {
      path: ['when'],
      message:
        'Use `hints` in hold and deny rules only: they are the server’s own words, and no allow rule may rest on them.',
    };
  }
  if (rule.decide === 'allow' && typeof condition === 'object')
    for (const word of unboundWords(condition.wordsRead, rule.match, options.upstreams))
      yield { path: ['when'], severity: 'warning', message: wordWarning(word) };
  if (typeof condition === 'object' && condition.factsRead.has('history'))
    yield { path: ['when'], severity: 'warning', message: HISTORY_WARNING };
  if (typeof condition === 'object' && condition.readsNoAgentMarks && !leavesNames(condition, options))
    yield { path: ['when'], severity: 'warning', message: UNNAMED_WARNING };
  if (rule.data !== undefined && sensitivity.length > 0 && !sensitivity.includes(rule.data)) {
    const instead = suggest(rule.data, 'Labels', sensitivity);
    yield {
      path: ['data'],
      severity: 'warning',
      message: `This is no label of \`sensitivity\`: reviewers see it, and no rule can rest on it. ${instead}`,
    };
  }
  if (rule.decide === 'hold' && (rule.tier === undefined || !Object.hasOwn(tiers, rule.tier))) {
    yield { path: ['tier'], message: 'Write the name of a tier under `tiers`: a hold rule needs one.' };
  }
}

function* checkDestinations(destinations: PolicyOptions['destinations']): Generator<Fault> {
  const seen = new Set<string>();
  for (const [name, patterns] of Object.entries(destinations))
    for (const [index, pattern] of patterns.entries()) {
      const path = ['destinations', name, index];
      const refused = refusePattern(pattern);
      if (refused !== undefined) yield { path, message: refused };
      if (seen.has(pattern.toLowerCase()))
        yield { path, message: 'Write this pattern once: another place has it, too.' };
      seen.add(pattern.toLowerCase());
    }
}

/** Whether nobody can read what the condition's marks are about without a task, or without a person. */
function leavesNames({ literals }: Condition, { resources, peopleAreNamed = false }: PolicyOptions): boolean {
  const named = literals.filter(({ of }) => of === 'tainted').map(({ text }) => text);
  const marking = resources.filter(
    ({ taints = [] }) => named.length === 0 || taints.some((name) => named.includes(name)),
  );
  return peopleAreNamed || marking.every(({ taints, requireTask }) => !taints?.length || requireTask === 'attested');
}

function* checkResource({
  match,
  when,
  sendsTo = [],
}: Pick<ResourceOptions, 'match' | 'when' | 'sendsTo'>): Generator<Fault> {
  const pattern = compiled(match.path, compilePath);
  if (typeof pattern === 'string') yield { path: ['match', 'path'], message: pattern };
  yield* checkCondition(
    compiled(when, (text) => compileCondition(text, SELECTING)),
    new Map(),
  );
  for (const [index, expression] of sendsTo.entries()) {
    const sending = compiled(expression, compileSending);
    if (typeof sending === 'string') yield { path: ['sendsTo', index], message: sending };
  }
}

function* checkCondition(condition: Condition | string | undefined, known: KnownTexts): Generator<Fault> {
  if (typeof condition === 'string') yield { path: ['when'], message: condition };
  if (typeof condition !== 'object') return;
  if (condition.growth !== undefined)
    yield { path: ['when'], severity: 'warning', message: growthWarning(condition.growth) };
  for (const { of, text } of condition.literals) {
    const values = known.get(of);
    if (values === undefined || values.texts.includes(text)) continue;
    if (of === 'tainted' && values.texts.length === 0)
      yield { path: ['when'], message: `There is no taint of this name. Add one under \`taints\`.` };
    if (values.texts.length === 0) continue;
    const instead = suggest(text, values.are, values.texts);
    yield { path: ['when'], message: `\`${of}\` is compared with a text that it never is. ${instead}` };
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

function* checkMeter(options: MeterOptions): Generator<Fault> {
  yield* checkResource(options);
  const { value, distinct } = options;
  if (value !== undefined && distinct !== undefined)
    yield { path: ['distinct'], message: 'Remove `value` or `distinct`: a meter adds amounts up, or counts values.' };
  const amount = compiled(value, compileAmount);
  if (typeof amount === 'string') yield { path: ['value'], message: amount };
  const one = compiled(distinct, compileDistinct);
  if (typeof one === 'string') yield { path: ['distinct'], message: one };
}

/** What the compiler made of the text, or the sentence with which it refused; undefined without a text. */
function compiled<T>(text: string | undefined, compile: (text: string) => T): T | string | undefined {
  if (text === undefined) return undefined;
  try {
    return compile(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
