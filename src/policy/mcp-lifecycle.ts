// The built-in rules that let an MCP session live: opening, listing, pinging and closing it, never calling a tool,
// reading a resource or fetching a prompt. They are allow rules, so any hold or deny rule of the configuration
// outweighs them. `mcpLifecycle: false` on an upstream takes them away.

import { LIFECYCLE_METHODS } from '../domain/mcp-lifecycle.ts';
import type { RuleOptions, ToolChanges } from './rules.ts';

/**
 * The name in `match.mcp` for calls without a JSON-RPC method: the GET that opens the event stream, and the DELETE that
 * ends a session.
 */
const NO_RPC_METHOD = '';

/** The rules for one MCP upstream. Their ids have a colon, so no id of the configuration equals them. */
export function mcpLifecycleRules(upstream: string): readonly RuleOptions[] {
  return [
    { id: 'mcp:lifecycle', match: { upstream, methods: ['POST'], mcp: LIFECYCLE_METHODS }, decide: 'allow' },
    { id: 'mcp:session', match: { upstream, methods: ['GET', 'DELETE'], mcp: [NO_RPC_METHOD] }, decide: 'allow' },
  ];
}

/** The rule for tools whose definition is not the pinned one. It applies also with `mcpLifecycle: false`. */
export function toolChangeRules(upstream: string, changes: ToolChanges = 'deny'): readonly RuleOptions[] {
  if (changes === 'allow') return [];
  const rule = { id: 'mcp:tool-changed', match: { upstream, mcp: ['tools/call'], toolChanged: true } } as const;
  return [changes === 'deny' ? { ...rule, decide: 'deny' } : { ...rule, decide: 'hold', tier: changes.hold }];
}
