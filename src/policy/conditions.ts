// CEL conditions (github.com/google/cel-spec), compiled and type-checked when the policy is loaded. Undeclared variables, unknown
// fields of declared ones, results that cannot be a truth value, and patterns that the agent could choose are refused then;
// whatever goes wrong while a condition runs is `failed`, and the caller fails closed.

import { setFlagsFromString } from 'node:v8';
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { AgentView, ApprovalView, type CallVariables, RequestView, TaskView } from './variables.ts';

export interface Condition {
  /** Whether it may look at the body: then the body must be buffered and parsed first. Never false for one that does. */
  readonly readsBody: boolean;
  /** Whether it looks at `hints`, a server's own words on its tools. */
  readonly readsHints: boolean;
  evaluate(variables: CallVariables): boolean | 'failed';
}

// The text that a pattern meets is the agent's: V8 then leaves backtracking for its linear-time engine when it runs wild. That holds for
// patterns that are compiled from now on, so it is said before the first.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
// Makes V8 know the flag `l`, which refuses a pattern that its linear-time engine does not take.
setFlagsFromString('--enable-experimental-regexp-engine');
const LINEAR = 'l';

const environment = new Environment({ limits: { maxAstNodes: 1000, maxDepth: 64, maxListElements: 256, maxMapEntries: 64, maxCallArguments: 8 } })
  .registerType('Agent', {
    ctor: AgentView,
    fields: { id: 'string', spiffeId: 'string', trustDomain: 'string', issuer: 'string', claims: 'map<string, dyn>', onBehalfOf: 'list<map<string, string>>' },
  })
  .registerType('Request', {
    ctor: RequestView,
    fields: {
      method: 'string',
      path: 'string',
      params: 'map<string, string>',
      query: 'map<string, string>',
      headers: 'map<string, string>',
      body: 'dyn',
    },
  })
  .registerType('Task', { ctor: TaskView, fields: { id: 'string', objective: 'string', labels: 'list<string>', calls: 'list<map<string, dyn>>' } })
  .registerType('Approval', { ctor: ApprovalView, fields: { count: 'int', reviewers: 'list<string>', age: 'google.protobuf.Duration' } })
  .registerVariable('agent', 'Agent')
  .registerVariable('request', 'Request')
  .registerVariable('task', 'Task')
  .registerVariable('approval', 'Approval')
  .registerVariable('tool', 'string')
  .registerVariable('args', 'dyn')
  .registerVariable('hints', 'map<string, dyn>')
  .registerVariable('now', 'google.protobuf.Timestamp');

/** Throws TypeError with a sentence that says what is wrong with the expression and where in it. */
export function compileCondition(expression: string): Condition {
  const program = parse(expression);
  const checked = program.check();
  if (!checked.valid) throw new TypeError(explain(checked.error));
  if (checked.type !== 'bool' && !checked.type?.startsWith('dyn')) throw new TypeError(`the condition gives ${checked.type}, not a truth value`);
  let readsBody = false;
  let readsHints = false;
  for (const node of nodesOf(program.ast)) {
    readsBody ||= mayReadBody(node);
    readsHints ||= node.op === 'id' && node.args === 'hints';
    if (node.op === 'rcall' && node.args[0] === 'matches') checkPattern(node.args[2][0]);
  }
  return {
    readsBody,
    readsHints,
    evaluate(variables) {
      try {
        const result: unknown = program(variables);
        return typeof result === 'boolean' ? result : 'failed';
      } catch {
        return 'failed';
      }
    },
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
  return summary === undefined ? String(error) : `${summary}${range === undefined ? '' : ` (at character ${range.start + 1})`}`;
}

/** Every node of an expression, by a walk that needs no knowledge of the operators. */
function* nodesOf(part: unknown): Generator<ASTNode> {
  if (Array.isArray(part)) for (const item of part) yield* nodesOf(item);
  else if (isNode(part)) {
    yield part;
    yield* nodesOf(part.args);
  }
}

const isNode = (part: unknown): part is ASTNode => typeof part === 'object' && part !== null && 'op' in part && 'args' in part;

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

/**
 * A pattern must be written in the rule, and be one that takes linear time whatever text it meets, as CEL's RE2 patterns do: a call could
 * make another one run for ever.
 */
function checkPattern(pattern: ASTNode | undefined): void {
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string') throw new TypeError('matches() takes a pattern that is written out in the condition');
  try {
    new RegExp(pattern.args, LINEAR);
  } catch {
    throw new TypeError('the pattern of matches() is not a regular expression of the RE2 kind: no lookaround, no backreferences, no large repetitions');
  }
}
