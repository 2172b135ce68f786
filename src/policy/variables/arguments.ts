// `tool`, `args` and `hints`: what an MCP call does, and the arguments of any call.

import type { Json } from '../../domain/json.ts';
import { agentName } from '../../domain/server-names.ts';
import type { ConditionCall, ValueVariable } from './variable.ts';

export const tool: ValueVariable = {
  name: 'tool',
  type: 'string',
  meaning: 'MCP: the tool of a `tools/call`, as agents call it; empty for other calls',
  value: ({ input: { action } }) => (action.tool === undefined ? '' : agentName(action.upstream, action.tool)),
};

export const args: ValueVariable = {
  name: 'args',
  type: 'dyn',
  meaning: 'MCP: the arguments; HTTP: the parsed JSON body',
  reads: 'body',
  value: readArgs,
};

export const hints: ValueVariable = {
  name: 'hints',
  type: 'map<string, dyn>',
  meaning: 'MCP: the annotations of the tool, as its server gives them; only in hold and deny rules',
  reads: 'hints',
  value: ({ input }) => input.action.mcp?.hints,
};

/** `{}` for a call without a body; undefined for a body that was not parsed. */
export function readArgs({ input: { action } }: ConditionCall): Json | undefined {
  if (action.args !== undefined) return action.args;
  return action.streamed || action.body !== undefined ? undefined : {};
}
