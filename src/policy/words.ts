// The words that a condition reads: what an agent says about its task, and header fields that no approval binds. An agent
// can choose them as it likes, so an allow rule that rests on them allows what the agent wants. Finds too many rather
// than too few.

import type { ASTNode } from '@marcbachmann/cel-js';
import { isBoundField } from '../domain/bound-fields.ts';
import { nodesOf } from './condition-reads.ts';
import type { PolicyUpstream, RuleOptions } from './rules.ts';

export interface Word {
  /** As the condition reads it. */
  readonly text: string;
  /** The field, or null where it cannot be told which one; undefined for what is no field. */
  readonly header?: string | null;
}

/** Members of `task` that the agent writes. An attested task has them from whoever attests it. */
const OF_TASK: ReadonlySet<unknown> = new Set(['objective', 'labels']);

export function wordsIn(ast: ASTNode): readonly Word[] {
  const words = new Map<string, Word>();
  const add = (word: Word) => words.set(word.text, word);
  // Variables and fields that are read by a name. Those that are not, could be read by any name.
  const named = new Set<ASTNode>();
  let attested = false;
  for (const node of nodesOf(ast)) {
    const [holder, member] = memberOf(node) ?? [];
    if (holder !== undefined && typeof member === 'string') named.add(holder);
    const name = holder?.op === 'id' ? holder.args : undefined;
    attested ||= name === 'task' && member === 'attested';
    if (name === 'task' && OF_TASK.has(member)) add({ text: `task.${String(member)}` });
    if (node.op === 'id' && node.args === 'task' && !named.has(node)) add({ text: 'task' });
    if (node.op === 'id' && node.args === 'request' && !named.has(node)) add({ text: 'request', header: null });
    const field = fieldOf(node, named);
    if (field !== undefined) add({ text: `request.headers["${field}"]`, header: field });
    else if (isHeaders(node) && !named.has(node)) add({ text: 'request.headers', header: null });
  }
  return [...words.values()].filter(({ header }) => header !== undefined || !attested);
}

/** The words among these that no approval binds at one of the upstreams at least. */
export function unboundWords(
  words: readonly Word[],
  { upstream, server }: RuleOptions['match'],
  upstreams: Readonly<Record<string, PolicyUpstream>>,
): readonly Word[] {
  const bound = Object.entries(upstreams).flatMap(([name, each]) => {
    if (upstream !== undefined && name !== upstream) return [];
    const lists = each.servers === undefined ? [each] : Object.values(pick(each.servers, server));
    return lists.map(({ boundHeaders = [] }) => [...boundHeaders, ...(each.forwardHeaders ?? [])]);
  });
  return words.filter(
    ({ header }) =>
      header === undefined || header === null || bound.some((extra) => !isBoundField(header.toLowerCase(), extra)),
  );
}

const pick = <Entry>(entries: Readonly<Record<string, Entry>>, name: string | undefined) =>
  name === undefined || entries[name] === undefined ? entries : { [name]: entries[name] };

/** The field that a node reads by its name. Notes the `request.headers` in it. */
function fieldOf(node: ASTNode, named: Set<ASTNode>): string | undefined {
  const [holder, member] = node.op === 'in' ? [node.args[1], keyIn(node.args[0])] : (memberOf(node) ?? []);
  if (holder === undefined || !isHeaders(holder) || typeof member !== 'string') return undefined;
  named.add(holder);
  return member;
}

const isHeaders = (node: ASTNode): boolean => {
  const [holder, member] = memberOf(node) ?? [];
  return holder?.op === 'id' && holder.args === 'request' && member === 'headers';
};

/** `holder.member` and `holder["member"]`. */
function memberOf(node: ASTNode): readonly [ASTNode, unknown] | undefined {
  if (node.op === '.' || node.op === '.?') return [node.args[0] as ASTNode, node.args[1]];
  if (node.op === '[]' || node.op === '[?]') return [node.args[0] as ASTNode, keyIn(node.args[1] as ASTNode)];
  return undefined;
}

const keyIn = (node: ASTNode): unknown => (node.op === 'value' ? node.args : undefined);
