// CEL conditions (github.com/google/cel-spec), compiled and type-checked when the policy is loaded. Loading refuses
// unknown variables and members, results that cannot be true or false, and patterns that an agent could choose. A
// condition that fails while it runs, or costs too much, gives `failed`, and the caller fails closed.

import { Environment } from '@marcbachmann/cel-js';
import type { HistoryFact } from '../domain/facts.ts';
import { compileProgram, type Program } from './cel/evaluate.ts';
import { findGrowth } from './cel/growth.ts';
import { Label } from './cel/label.ts';
import { POLICY_FUNCTIONS } from './cel/policy-functions.ts';
import { explainCelFault } from './condition-faults.ts';
import { readsOf } from './condition-reads.ts';
import { type Literal, literalsOf } from './literals.ts';
import { action } from './variables/action.ts';
import { type CallVariables, VARIABLES } from './variables/variables.ts';

export interface Condition {
  /**
   * Whether the condition may read the body, which must then be buffered and parsed first. Never false for a condition
   * that reads it.
   */
  readonly readsBody: boolean;
  /** The facts that the condition may read. Never fewer than it reads. */
  readonly factsRead: ReadonlySet<HistoryFact>;
  /** Whether the condition reads `hints`, a server's own words about its tools. */
  readonly readsHints: boolean;
  /** Whether the condition may read what the action is by the configuration. */
  readonly readsAction: boolean;
  /** The texts that are compared with members of `action`. */
  readonly literals: readonly Literal[];
  /** The variables that the condition may read. */
  readonly names: ReadonlySet<string>;
  /** The text of a part whose cost can grow faster than what the agent sends. */
  readonly growth?: string;
  evaluate(variables: CallVariables): boolean | 'failed';
}

/** The library only checks types with this environment: cel/evaluate.ts evaluates. */
const NOT_EVALUATED = (): boolean => {
  throw new TypeError('The library does not evaluate conditions.');
};

const environment = new Environment({
  limits: { maxAstNodes: 1000, maxDepth: 64, maxListElements: 256, maxMapEntries: 64, maxCallArguments: 8 },
});
environment.registerType('Label', { ctor: Label, fields: {} });
for (const variable of VARIABLES) {
  if ('members' in variable) {
    const fields = Object.entries(variable.members).map(([name, { type }]) => [name, type]);
    environment.registerType(variable.type, { ctor: variable.view, fields: Object.fromEntries(fields) });
  }
  environment.registerVariable(variable.name, variable.type);
}

// Labels are compared for equality. Their order is not that of texts: `atLeast` knows it.
for (const other of ['string', 'Label']) environment.registerOperator(`Label == ${other}`, NOT_EVALUATED);
for (const list of ['list<string>', 'list<Label>']) environment.registerOperator(`Label in ${list}`, NOT_EVALUATED);
for (const { signature } of POLICY_FUNCTIONS) environment.registerFunction(signature, NOT_EVALUATED);

/** The library's functions, without those of optional values, which conditions do not have. */
const FUNCTIONS = environment
  .getDefinitions()
  .functions.filter(({ signature }) => !signature.includes('optional'))
  .map(({ name }) => name);

/** Throws TypeError with a sentence that says what is wrong with the expression and where in it. */
export function compileCondition(expression: string): Condition {
  const { ast, check } = parse(expression);
  const checked = check();
  if (!checked.valid) throw new TypeError(explainCelFault(checked.error, FUNCTIONS));
  if (checked.type !== 'bool' && !checked.type?.startsWith('dyn'))
    throw new TypeError(`Write an expression that is true or false: this one gives ${checked.type}.`);
  const reads = readsOf(ast);
  const growth = findGrowth(ast);
  return {
    readsBody: reads.body,
    factsRead: reads.facts,
    readsHints: reads.hints,
    readsAction: reads.names.has(action.name),
    names: reads.names,
    literals: literalsOf(ast),
    ...(growth !== undefined && { growth }),
    evaluate: evaluation(compileProgram(ast)),
  };
}

function evaluation(run: Program): Condition['evaluate'] {
  return (variables) => {
    try {
      const result = run(variables);
      return typeof result === 'boolean' ? result : 'failed';
    } catch {
      // The budget is spent (variables.budget says so), or a value is nested too deeply to be compared.
      return 'failed';
    }
  };
}

function parse(expression: string): ReturnType<typeof environment.parse> {
  try {
    return environment.parse(expression);
  } catch (error) {
    throw new TypeError(explainCelFault(error, FUNCTIONS));
  }
}
