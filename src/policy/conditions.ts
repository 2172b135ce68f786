// CEL conditions (github.com/google/cel-spec), compiled and type-checked when the policy is loaded. Undeclared
// variables, unknown fields of declared ones, results that cannot be a truth value, and patterns that the agent could
// choose are refused then; whatever goes wrong while a condition runs, or that it costs too much, is `failed`, and the
// caller fails closed.

import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { compileProgram, type Program } from './cel/evaluate.ts';
import { findGrowth } from './cel/growth.ts';
import { type CallVariables, CEL_VIEWS, VARIABLES } from './variables.ts';

export interface Condition {
  /**
   * Whether it may look at the body: then the body must be buffered and parsed first. Never false for one that does.
   */
  readonly readsBody: boolean;
  /** Whether it may look at the earlier calls of the task. Never false for one that does. */
  readonly readsHistory: boolean;
  /** Whether it looks at `hints`, a server's own words on its tools. */
  readonly readsHints: boolean;
  /** A part whose cost can grow faster than what the agent sends, as it is written. */
  readonly growth?: string;
  evaluate(variables: CallVariables): boolean | 'failed';
}

const environment = new Environment({
  limits: { maxAstNodes: 1000, maxDepth: 64, maxListElements: 256, maxMapEntries: 64, maxCallArguments: 8 },
});
for (const [name, view] of Object.entries(CEL_VIEWS)) environment.registerType(name, view);
for (const [name, type] of Object.entries(VARIABLES)) environment.registerVariable(name, type);

/** Throws TypeError with a sentence that says what is wrong with the expression and where in it. */
export function compileCondition(expression: string): Condition {
  const { ast, check } = parse(expression);
  const checked = check();
  if (!checked.valid) throw new TypeError(explain(checked.error));
  if (checked.type !== 'bool' && !checked.type?.startsWith('dyn'))
    throw new TypeError(`the condition gives ${checked.type}, not a truth value`);
  let readsBody = false;
  let readsHints = false;
  let tasks = 0;
  for (const node of nodesOf(ast)) {
    readsBody ||= mayReadBody(node);
    // Each mention of the task counts as one of its history, unless it is seen to read something else of it.
    if (node.op === 'id' && node.args === 'task') tasks += 1;
    if (readsTaskAlone(node)) tasks -= 1;
    readsHints ||= node.op === 'id' && node.args === 'hints';
  }
  const growth = findGrowth(ast);
  return {
    readsBody,
    readsHistory: tasks > 0,
    readsHints,
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
      // The budget is spent (variables.meter says so), or a value is nested too deeply to be compared.
      return 'failed';
    }
  };
}

function parse(expression: string): ReturnType<typeof environment.parse> {
  try {
    return environment.parse(expression);
  } catch (error) {
    throw new TypeError(explain(error));
  }
}

function explain(error: unknown): string {
  const { summary, range } = error as { summary?: string; range?: { start: number } };
  return summary === undefined
    ? String(error)
    : `${summary}${range === undefined ? '' : ` (at character ${range.start + 1})`}`;
}

/** Every node of an expression, by a walk that needs no knowledge of the operators. */
function* nodesOf(part: unknown): Generator<ASTNode> {
  if (Array.isArray(part)) for (const item of part) yield* nodesOf(item);
  else if (isNode(part)) {
    yield part;
    yield* nodesOf(part.args);
  }
}

const isNode = (part: unknown): part is ASTNode =>
  typeof part === 'object' && part !== null && 'op' in part && 'args' in part;

/** `task.id`, `task.objective`, `task.labels`. */
function readsTaskAlone(node: ASTNode): boolean {
  if (node.op !== '.' && node.op !== '.?') return false;
  const [of, name] = node.args as [unknown, unknown];
  return (
    isNode(of) && of.op === 'id' && of.args === 'task' && (name === 'id' || name === 'objective' || name === 'labels')
  );
}

/** Wider than needed on purpose: `args`, any field or key called `body`, and whatever could hide one from this look. */
function mayReadBody(node: ASTNode): boolean {
  switch (node.op) {
    case 'id':
      return node.args === 'args';
    case '.':
    case '.?':
      return node.args[1] === 'body';
    case '[]':
    case '[?]':
      return node.args[1].op !== 'value' || node.args[1].args === 'body';
    case 'call':
      return node.args[0] === 'dyn';
    default:
      return false;
  }
}
