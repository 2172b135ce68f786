// Texts in a condition that are compared with something of which the configuration knows every value: a label, an
// operation, an environment, a mark. Another text there could never be equal, so it is a slip of the pen.

import type { ASTNode } from '@marcbachmann/cel-js';
import { nodesOf } from './condition-reads.ts';

export interface Literal {
  /** As conditions name it: `action.data`, `tainted`. */
  readonly of: string;
  readonly text: string;
}

/** Every text that is compared with a member of `action`, or with marks. */
export function literalsOf(ast: ASTNode): readonly Literal[] {
  return [...nodesOf(ast)].flatMap((node): Literal[] => {
    switch (node.op) {
      case '==':
      case '!=':
      case 'in': {
        const [left, right] = node.args;
        return [...pair(left, right), ...(node.op === 'in' && !isMarks(right) ? [] : pair(right, left))];
      }
      case 'call': {
        const [name, [label, least]] = node.args;
        return name === 'atLeast' && label !== undefined && least !== undefined ? textsIn(least, 'action.data') : [];
      }
      default:
        return [];
    }
  });
}

/** Whether marks are read, and none on agents: only `taintedBy.person` and `taintedBy.task`. */
export function readsNoAgentMarks(ast: ASTNode): boolean {
  let mentions = 0;
  let others = 0;
  for (const node of nodesOf(ast)) {
    if (node.op === 'id' && (node.args === 'tainted' || node.args === 'taintedBy')) mentions += 1;
    if (node.op === '.' && isMarks(node) && (node.args[1] === 'person' || node.args[1] === 'task')) others += 1;
  }
  return mentions > 0 && mentions === others;
}

function pair(value: ASTNode, other: ASTNode): Literal[] {
  const of = nameOf(value);
  return of === undefined ? [] : textsIn(other, of);
}

function nameOf(node: ASTNode): string | undefined {
  if (isMarks(node)) return 'tainted';
  if (node.op !== '.' || node.args[0].op !== 'id' || node.args[0].args !== 'action') return undefined;
  return `action.${node.args[1]}`;
}

/** `tainted`, `taintedBy.agent` and the like. */
function isMarks(node: ASTNode): boolean {
  if (node.op === '.') return node.args[0].op === 'id' && node.args[0].args === 'taintedBy';
  return node.op === 'id' && node.args === 'tainted';
}

function textsIn(node: ASTNode, of: string): Literal[] {
  if (node.op === 'list') return node.args.flatMap((item) => textsIn(item, of));
  return node.op === 'value' && typeof node.args === 'string' ? [{ of, text: node.args }] : [];
}
