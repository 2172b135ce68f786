// By what a call is recognised, so that a later one can be told from the first of its kind: the resources that match it,
// or else its tool, or its method and the pattern of the first rule with a path that fits; and its targets. Mentions are
// no targets.

import { sha256 } from '../domain/canonical.ts';
import type { Classifiable, Classification, Destination, Destinations } from '../domain/classification.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';
import type { Recognisable } from '../domain/novelty.ts';
import type { RuleIndex } from './compiled-rule.ts';

import { readPath } from './paths.ts';

/** Texts from here on are kept as digests. */
const LONGEST = 256;

/** Undefined for what opens and keeps an MCP session: it is no operation of the agent. */
export function recogniseCall(
  index: RuleIndex,
  { action }: Classifiable,
  { resources }: Classification,
  { targets, unknown }: Destinations,
): Recognisable | undefined {
  if (isLifecycle(action)) return undefined;
  const names = targets.map(nameOf);
  const all = names.every((name) => name !== undefined);
  return {
    operations: resources.length > 0 ? resources.map((id) => `resource ${id}`) : [short(operationOf(index, action))],
    targets: unknown === undefined && all ? names : undefined,
  };
}

function operationOf(index: RuleIndex, { upstream, tool, mcp, method, path }: Classifiable['action']): string {
  if (tool !== undefined) return `tool ${upstream} ${tool}`;
  if (mcp?.method !== undefined) return `mcp ${upstream} ${mcp.method}`;
  const read = readPath(path);
  const caseSensitive = index.caseSensitive(upstream);
  const rule = index
    .candidates(upstream, method)
    .find(
      ({ options, matchPath }) =>
        options.match.path !== undefined && read !== undefined && matchPath(read, caseSensitive) !== undefined,
    );
  return `${method} ${upstream} ${rule?.options.match.path ?? path}`;
}

/** A host, whatever stands before and behind it; or a text such as an account number, without case and blanks. */
function nameOf({ host, value }: Destination): string | undefined {
  if (host !== undefined) return `host ${host}`;
  // A value that was cut could stand for another one.
  return value.length < LONGEST ? `id ${foldKey(value.replace(/\s/g, ''))}` : undefined;
}

const short = (text: string): string => (text.length < LONGEST ? text : sha256(text));
