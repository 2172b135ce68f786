// Why an expression cannot be a condition, as sentences that say what to write. The library says what is wrong and where;
// the names that are known here are offered in place of one that is not.

import type { ASTNode } from '@marcbachmann/cel-js';
import { nearestName, suggest } from '../settings/suggestions.ts';
import { type ConfiguredNames, memberTypesOf, type Variable } from './variables/variable.ts';

/** What the library throws, or hands back from its type check. */
interface CelFault {
  readonly name?: string;
  readonly code?: string;
  readonly summary?: string;
  readonly node?: ASTNode;
  readonly range?: { readonly start: number };
}

/** What an expression may use: the variables, the names of the configuration, and every function of the library. */
export interface KnownNames {
  readonly variables: readonly Variable[];
  readonly names: ConfiguredNames;
  readonly functions: readonly string[];
}

/** One sentence or two, with the place in the expression. */
export function explainCelFault(thrown: unknown, known: KnownNames): string {
  const fault = thrown as CelFault;
  if (fault.summary === undefined) return String(thrown);
  const place = fault.range === undefined ? '' : ` (at character ${fault.range.start + 1})`;
  const [what, instead] = describe(fault, fault.summary, known);
  return `${what}${place}.${instead === '' ? '' : ` ${instead}`}`;
}

/** What is wrong, without a full stop, and what to write instead. */
function describe(
  { name, code, node }: CelFault,
  summary: string,
  { variables, names, functions }: KnownNames,
): [string, string] {
  if (code === 'limit_exceeded') return [`Write a shorter expression: ${summary}`, ''];
  if (name === 'ParseError') return [`This is not a CEL expression: ${summary}`, ''];
  if (code === 'unknown_variable' && node?.op === 'id') {
    const known = variables.map((variable) => variable.name);
    return [`There is no variable \`${node.args}\``, suggest(node.args, 'Variables', known)];
  }
  if (code === 'no_such_key' && node?.op === '.') {
    const [holder, member] = node.args;
    const variable = variables.find((each) => holder.op === 'id' && each.name === holder.args);
    const members = variable && memberTypesOf(variable, names);
    if (variable !== undefined && 'namedBy' in variable && names[variable.namedBy].length === 0)
      return [
        `The configuration has no \`${variable.namedBy}\``,
        `Define \`${member}\` under \`${variable.namedBy}\`.`,
      ];
    if (variable !== undefined && members !== undefined)
      return [`\`${variable.name}\` has no member \`${member}\``, suggest(member, 'Members', Object.keys(members))];
  }
  if (
    code === 'no_matching_overload' &&
    (node?.op === 'call' || node?.op === 'rcall') &&
    !functions.includes(node.args[0])
  ) {
    const nearest = nearestName(node.args[0], functions);
    return [`There is no function \`${node.args[0]}\``, nearest === undefined ? '' : `Did you mean \`${nearest}\`?`];
  }
  if (code === 'invalid_macro_argument') return [`An argument is not of the kind that CEL asks for: ${summary}`, ''];
  if (/\bLabel [<>]=? |[<>]=? Label\b/.test(summary))
    return ['A label of `sensitivity` has no order as a text', 'Write `atLeast(action.data, "LABEL")`.'];
  return [`The types do not match: ${summary}`, ''];
}
