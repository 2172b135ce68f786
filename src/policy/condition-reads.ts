// What a condition may read, found from its syntax when the policy is loaded: the body, which then has to be buffered;
// facts that are looked up; a server's own words. It may report too much, and never too little.

import type { ASTNode } from '@marcbachmann/cel-js';
import type { HistoryFact } from '../domain/facts.ts';
import type { Reads, Variable } from './variables/variable.ts';
import { VARIABLES } from './variables/variables.ts';

export interface ConditionReads {
  readonly body: boolean;
  readonly destinations: boolean;
  readonly hints: boolean;
  /** Every name that may be a variable; one that a macro binds may be among them. */
  readonly names: ReadonlySet<string>;
  readonly facts: ReadonlySet<HistoryFact>;
}

export function readsOf(ast: ASTNode): ConditionReads {
  let body = false;
  let destinations = false;
  let hints = false;
  const names = new Set<string>();
  const mentions = new Map<HistoryFact, number>();
  const count = (fact: HistoryFact, by: number) => mentions.set(fact, (mentions.get(fact) ?? 0) + by);
  for (const node of nodesOf(ast)) {
    if (node.op === 'id') names.add(node.args);
    hints ||= node.op === 'id' && BY_NAME.get(node.args) === 'hints';
    body ||= (node.op === 'id' && BY_NAME.get(node.args) === 'body') || mayRead(node, BODY_MEMBERS);
    destinations ||= mayRead(node, DESTINATION_MEMBERS);
    // Each mention of a variable counts as a mention of its facts, unless it clearly reads another member of it.
    if (node.op === 'id') for (const fact of FACTS_OF.get(node.args)?.keys() ?? []) count(fact, 1);
    for (const fact of factsNotRead(node)) count(fact, -1);
  }
  return {
    body,
    destinations,
    hints,
    names,
    facts: new Set([...mentions].flatMap(([fact, left]) => (left > 0 ? [fact] : []))),
  };
}

/** The meters that an expression may read: those that it names, or all where it names `meter` in another way. */
export function metersIn(ast: ASTNode, meters: readonly string[]): readonly string[] {
  const named = new Set<string>();
  let mentions = 0;
  for (const node of nodesOf(ast)) {
    if (node.op === 'id' && node.args === 'meter') mentions += 1;
    if (node.op !== '.' || node.args[0].op !== 'id' || node.args[0].args !== 'meter') continue;
    mentions -= 1;
    named.add(node.args[1]);
  }
  return mentions > 0 ? meters : [...named];
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

const membersThatRead = (kind: Reads): ReadonlySet<string> =>
  new Set(MEMBERS.filter(({ reads }) => reads === kind).map(({ name }) => name));
const BODY_MEMBERS = membersThatRead('body');
const DESTINATION_MEMBERS = membersThatRead('destinations');

const isFact = (reads: Reads | undefined): reads is HistoryFact =>
  reads !== undefined && reads !== 'body' && reads !== 'destinations' && reads !== 'hints';

/** The facts that can be read by each variable, each fact with the members of the variable that do not read it. */
const FACTS_OF: ReadonlyMap<unknown, ReadonlyMap<HistoryFact, ReadonlySet<unknown>>> = new Map(
  VARIABLES.map((variable) => [variable.name, factsOf(variable)]),
);

function factsOf(variable: Variable): ReadonlyMap<HistoryFact, ReadonlySet<unknown>> {
  if (!('members' in variable)) return new Map(isFact(variable.reads) ? [[variable.reads, new Set()]] : []);
  const members = Object.entries(variable.members);
  const facts = members.map(([, { reads }]) => reads).filter(isFact);
  return new Map(
    facts.map((fact) => [fact, new Set(members.flatMap(([name, { reads }]) => (reads === fact ? [] : [name])))]),
  );
}

/** Every node of an expression, by a walk that needs no knowledge of the operators. */
export function* nodesOf(part: unknown): Generator<ASTNode> {
  if (Array.isArray(part)) for (const item of part) yield* nodesOf(item);
  else if (isNode(part)) {
    yield part;
    yield* nodesOf(part.args);
  }
}

const isNode = (part: unknown): part is ASTNode =>
  typeof part === 'object' && part !== null && 'op' in part && 'args' in part;

/** `task.id`: the mention of `task` in it reads no history. */
function factsNotRead(node: ASTNode): readonly HistoryFact[] {
  if (node.op !== '.' && node.op !== '.?') return [];
  const [holder, name] = node.args as [unknown, unknown];
  if (!isNode(holder) || holder.op !== 'id') return [];
  return [...(FACTS_OF.get(holder.args) ?? [])].flatMap(([fact, others]) => (others.has(name) ? [fact] : []));
}

/** Wider than needed on purpose: any field or key of such a name, and whatever could hide one from this check. */
function mayRead(node: ASTNode, members: ReadonlySet<string>): boolean {
  switch (node.op) {
    case '.':
    case '.?':
      return members.has(node.args[1]);
    case '[]':
    case '[?]':
      return node.args[1].op !== 'value' || members.has(node.args[1].args as string);
    case 'call':
      return node.args[0] === 'dyn';
    default:
      return false;
  }
}
