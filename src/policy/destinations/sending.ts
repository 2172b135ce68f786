// `sendsTo` of a resource: expressions that say where a call sends to. A member that is absent, null or empty names nothing.
// Whatever else is no text and no list of texts names somebody who is not known.

import { compileProgram, type Program } from '../cel/evaluate.ts';
import { FAILED } from '../cel/values.ts';
import { parseExpression } from '../language.ts';
import { SELECTING } from '../selector.ts';
import type { CallVariables } from '../variables/variables.ts';

export interface Sending {
  readonly expression: string;
  /** The texts that it names; undefined where that cannot be told. */
  texts(variables: CallVariables): readonly string[] | undefined;
}

/** Types of an expression that can give texts. */
const TEXTS = /^(?:string|list<string>|list<dyn>|list|dyn.*)$/;

/** Throws TypeError with a sentence that says what is wrong with the expression. */
export function compileSending(expression: string): Sending {
  const { ast, type } = parseExpression(expression, SELECTING);
  if (!TEXTS.test(type))
    throw new TypeError(`Write an expression that gives a text or a list of texts: this one gives ${type}.`);
  const value = compileProgram(ast);
  const isPath = ast.op === '.';
  const present = isPath ? compileProgram(parseExpression(`has(${expression})`, SELECTING).ast) : undefined;
  return {
    expression,
    texts(variables) {
      if (present !== undefined && run(present, variables) === false) return [];
      return textsIn(run(value, variables));
    },
  };
}

function run(program: Program, variables: CallVariables): unknown {
  try {
    return program(variables);
  } catch {
    // The budget is spent.
    return FAILED;
  }
}

function textsIn(value: unknown): readonly string[] | undefined {
  if (value === null) return [];
  const texts = Array.isArray(value) ? value : [value];
  return texts.every((text) => typeof text === 'string') ? texts.filter((text) => text.trim() !== '') : undefined;
}
