// What a condition may read, found from its syntax when the policy is loaded: the body, which then has to be buffered;
// the earlier calls of the task; a server's own words. It may report too much, and never too little.

import type { ASTNode } from '@marcbachmann/cel-js';
import type { Reads } from './variables/variable.ts';
import { VARIABLES } from './variables/variables.ts';

/** Every kind of `Reads` that the condition may read. */
export function readsOf(ast: ASTNode): ReadonlySet<Reads> {
  const found = new Set<Reads>();
  let history = 0;
  for (const node of nodesOf(ast)) {
    if (node.op === 'id' && BY_NAME.get(node.args) === 'hints') found.add('hints');
    if (mayReadBody(node)) found.add('body');
    // Each mention of the task counts as a mention of its history, unless it clearly reads another member of the task.
    if (node.op === 'id' && WITH_HISTORY.has(node.args)) history += 1;
    if (readsNoHistory(node)) history -= 1;
  }
  if (history > 0) found.add('history');
  return found;
}

/** What each variable without members reads. */
const BY_NAME = new Map(
  VARIABLES.flatMap((variable) => ('members' in variable ? [] : [[variable.name, variable.reads] as const])),
);

const MEMBERS = VARIABLES.flatMap((variable) =>
  'members' in variable
    ? Object.entries(variable.members).map(([name, { reads }]) => ({ variable: variable.name, name, reads }))
    : [],
);

const BODY_MEMBERS = new Set(MEMBERS.filter(({ reads }) => reads === 'body').map(({ name }) => name));

/** Variables by which the history can be read, each with its other members. */
const WITH_HISTORY: ReadonlyMap<string, ReadonlySet<unknown>> = new Map([
  ...[...BY_NAME].flatMap(([name, reads]) => (reads === 'history' ? [[name, new Set()] as const] : [])),
  ...MEMBERS.filter(({ reads }) => reads === 'history').map(({ variable }) => {
    const others = MEMBERS.filter((member) => member.variable === variable && member.reads !== 'history');
    return [variable, new Set(others.map(({ name }) => name))] as const;
  }),
]);

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
function readsNoHistory(node: ASTNode): boolean {
  if (node.op !== '.' && node.op !== '.?') return false;
  const [holder, name] = node.args as [unknown, unknown];
  return isNode(holder) && holder.op === 'id' && WITH_HISTORY.get(holder.args)?.has(name) === true;
}

/** Wider than needed on purpose: any field or key called `body`, and whatever could hide one from this check. */
function mayReadBody(node: ASTNode): boolean {
  switch (node.op) {
    case 'id':
      return BY_NAME.get(node.args) === 'body';
    case '.':
    case '.?':
      return BODY_MEMBERS.has(node.args[1]);
    case '[]':
    case '[?]':
      return node.args[1].op !== 'value' || BODY_MEMBERS.has(node.args[1].args as string);
    case 'call':
      return node.args[0] === 'dyn';
    default:
      return false;
  }
}
