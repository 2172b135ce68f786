// Finds conditions whose cost can grow with the square of what an agent sends, or faster. They are safe, since the
// budget of budget.ts stops them. But an honest call with a long list then meets a rule that cannot be evaluated, so the
// author is warned when the file is loaded.

import type { ASTNode } from '@marcbachmann/cel-js';

/** Names, each with whether its value can be as large as the agent likes. */
type Sizes = ReadonlyMap<string, boolean>;

const AGENT_SIZED: Sizes = new Map([
  ['args', true],
  ['request', true],
]);

const ROUNDS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);
/** Methods that read their whole receiver. */
const READS_ALL: ReadonlySet<string> = new Set([
  'contains',
  'indexOf',
  'lastIndexOf',
  'split',
  'join',
  'size',
  'matches',
  'lowerAscii',
  'upperAscii',
  'trim',
]);
/** Methods whose cost is the size of the receiver times the size of the argument. */
const SEARCHES: ReadonlySet<string> = new Set(['contains', 'indexOf', 'lastIndexOf', 'split']);

/** The text of the first such part; undefined for a condition whose cost grows in proportion to its input. */
export function findGrowth(ast: ASTNode): string | undefined {
  const found = search(ast, AGENT_SIZED, false);
  if (found === undefined) return undefined;
  // A node begins behind the brackets that open it.
  let start = found.start;
  while (start > 0 && count(found.input.slice(start, found.end), ')') > count(found.input.slice(start, found.end), '('))
    start--;
  return found.input.slice(start, found.end);
}

const count = (text: string, character: string): number => text.split(character).length - 1;

/** `repeated`: whether the node runs once for each element of something that the agent sends. */
function search(node: ASTNode, sizes: Sizes, repeated: boolean): ASTNode | undefined {
  if (isCostly(node, sizes, repeated)) return node;
  if (node.op !== 'rcall') return searchAll(childrenOf(node), sizes, repeated);
  const [name, receiver, operands] = node.args;
  const [variable, ...bodies] = operands;
  if (variable?.op === 'id' && name === 'bind' && receiver.op === 'id' && receiver.args === 'cel') {
    const [value, body] = bodies as [ASTNode, ASTNode];
    return (
      search(value, sizes, repeated) ?? search(body, new Map(sizes).set(variable.args, isLarge(value, sizes)), repeated)
    );
  }
  if (variable?.op !== 'id' || !ROUNDS.has(name) || bodies.length === 0)
    return searchAll([receiver, ...operands], sizes, repeated);
  // The elements together are no larger than the list, so reading each one costs no more than reading the list.
  const inner = new Map(sizes).set(variable.args, false);
  return search(receiver, sizes, repeated) ?? searchAll(bodies, inner, repeated || isLarge(receiver, sizes));
}

function searchAll(nodes: readonly ASTNode[], sizes: Sizes, repeated: boolean): ASTNode | undefined {
  for (const node of nodes) {
    const found = search(node, sizes, repeated);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isCostly(node: ASTNode, sizes: Sizes, repeated: boolean): boolean {
  const large = (part: ASTNode | undefined): boolean => part !== undefined && isLarge(part, sizes);
  switch (node.op) {
    case 'rcall': {
      const [name, receiver, [first]] = node.args;
      if (SEARCHES.has(name) && large(first)) return true;
      return repeated && (ROUNDS.has(name) || READS_ALL.has(name)) && large(receiver);
    }
    case 'in':
      return repeated && large(node.args[1]);
    case '+':
      return repeated && node.args.some(large);
    default:
      return false;
  }
}

/** Whether a value can be as large as the agent likes; its source decides. */
function isLarge(node: ASTNode, sizes: Sizes): boolean {
  switch (node.op) {
    case 'id':
      return sizes.get(node.args) === true;
    case '.':
    case '[]':
      return isLarge(node.args[0], sizes);
    case 'rcall':
      return node.args[0] !== 'size' && isLarge(node.args[1], sizes);
    case '+':
    case '?:':
    case 'call':
      return childrenOf(node).some((child) => isLarge(child, sizes));
    default:
      return false;
  }
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  const parts: unknown[] = [node.args].flat(3);
  return parts.filter(
    (part): part is ASTNode => typeof part === 'object' && part !== null && 'op' in part && 'args' in part,
  );
}
