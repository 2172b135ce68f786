// Texts in a condition that are compared with something of which the configuration knows every value: a label, an
// operation, an environment. Another text there could never be equal, so it is a slip of the pen.

import type { ASTNode } from '@marcbachmann/cel-js';
import { nodesOf } from './condition-reads.ts';

export interface Literal {
  /** A member of `action`. */
  readonly member: string;
  readonly text: string;
}

/** Every text that is compared with a member of `action`. */
export function literalsOf(ast: ASTNode): readonly Literal[] {
  return [...nodesOf(ast)].flatMap((node): Literal[] => {
    switch (node.op) {
      case '==':
      case '!=':
      case 'in': {
        const [left, right] = node.args;
        return [...pair(left, right), ...(node.op === 'in' ? [] : pair(right, left))];
      }
      case 'call': {
        const [name, [label, least]] = node.args;
        return name === 'atLeast' && label !== undefined && least !== undefined ? textsIn(least, 'data') : [];
      }
      default:
        return [];
    }
  });
}

function pair(value: ASTNode, other: ASTNode): Literal[] {
  const member = memberOf(value);
  return member === undefined ? [] : textsIn(other, member);
}

function memberOf(node: ASTNode): string | undefined {
  if (node.op !== '.' || node.args[0].op !== 'id' || node.args[0].args !== 'action') return undefined;
  return node.args[1];
}

function textsIn(node: ASTNode, member: string): Literal[] {
  if (node.op === 'list') return node.args.flatMap((item) => textsIn(item, member));
  return node.op === 'value' && typeof node.args === 'string' ? [{ member, text: node.args }] : [];
}
