// CEL conditions (github.com/google/cel-spec), compiled and type-checked when the policy is loaded. Loading refuses
// unknown variables and members, results that cannot be true or false, and patterns that an agent could choose. A
// condition that fails while it runs, or costs too much, gives `failed`, and the caller fails closed.

import type { HistoryFact } from '../domain/facts.ts';
import { compileProgram, type Program } from './cel/evaluate.ts';
import { findGrowth } from './cel/growth.ts';
import { FAILED, type Value } from './cel/values.ts';
import { metersIn, readsOf } from './condition-reads.ts';
import { type Language, languageOf, parseExpression } from './language.ts';
import { type Literal, literalsOf, readsNoAgentMarks } from './literals.ts';
import { action } from './variables/action.ts';
import type { CallVariables } from './variables/variables.ts';
import { type Word, wordsIn } from './words.ts';

export interface Condition {
  /**
   * Whether the condition may read the body, which must then be buffered and parsed first. Never false for a condition
   * that reads it.
   */
  readonly readsBody: boolean;
  /** Whether the condition may read where the call leads: the body is then searched, and has to be buffered. */
  readonly readsDestinations: boolean;
  /** The facts that the condition may read. Never fewer than it reads. */
  readonly factsRead: ReadonlySet<HistoryFact>;
  /** The meters that the condition may read; never fewer than it reads. */
  readonly metersRead: ReadonlySet<string>;
  /** Whether the condition reads `hints`, a server's own words about its tools. */
  readonly readsHints: boolean;
  /** What the agent says about itself and the condition may read. */
  readonly wordsRead: readonly Word[];
  /** Whether the condition may read what the action is by the configuration. */
  readonly readsAction: boolean;
  /** Whether the condition reads marks, and none on agents. */
  readonly readsNoAgentMarks: boolean;
  /** The texts that are compared with members of `action`, or with marks. */
  readonly literals: readonly Literal[];
  /** The variables that the condition may read. */
  readonly names: ReadonlySet<string>;
  /** The text of a part whose cost can grow faster than what the agent sends. */
  readonly growth?: string;
  evaluate(variables: CallVariables): boolean | 'failed';
}

/** An expression that gives a value, such as an amount. */
export interface ValueExpression {
  readonly readsBody: boolean;
  /** FAILED for what cannot be evaluated. */
  evaluate(variables: CallVariables): Value;
}

/** The language where the configuration names nothing. */
const PLAIN = languageOf({ meters: [] });

/** Throws TypeError with a sentence that says what is wrong with the expression and where in it. */
export function compileCondition(expression: string, language: Language = PLAIN): Condition {
  const { ast, type } = parseExpression(expression, language);
  if (type !== 'bool' && !type.startsWith('dyn'))
    throw new TypeError(`Write an expression that is true or false: this one gives ${type}.`);
  const reads = readsOf(ast);
  const growth = findGrowth(ast);
  return {
    readsBody: reads.body,
    readsDestinations: reads.destinations,
    factsRead: reads.facts,
    metersRead: new Set(reads.facts.has('meter') ? metersIn(ast, language.names.meters) : []),
    readsHints: reads.hints,
    wordsRead: wordsIn(ast),
    readsAction: reads.names.has(action.name),
    names: reads.names,
    literals: literalsOf(ast),
    readsNoAgentMarks: readsNoAgentMarks(ast),
    ...(growth !== undefined && { growth }),
    evaluate: evaluation(compileProgram(ast)),
  };
}

/** As compileCondition, for an expression that gives a value of one of these CEL types. */
export function compileValue(expression: string, types: readonly string[], language: Language): ValueExpression {
  const { ast, type } = parseExpression(expression, language);
  if (!types.includes(type) && !type.startsWith('dyn'))
    throw new TypeError(`Write an expression that gives one of ${types.join(', ')}: this one gives ${type}.`);
  const run = compileProgram(ast);
  return {
    readsBody: readsOf(ast).body,
    evaluate(variables) {
      try {
        return run(variables);
      } catch {
        return FAILED;
      }
    },
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
