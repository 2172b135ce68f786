// The MCP messages that let a session live: opening, listing, pinging and closing it. They call no tool, read no resource
// and fetch no prompt. Built-in rules allow them, rules about calls do not mean them, and they need no task.

import type { Action } from './action.ts';

export const LIFECYCLE_METHODS = [
  // The agent's response to a request of the server that a rule allowed. mcp/ gives it this name, which no method can
  // have.
  '(answer)',
  'initialize',
  // The notifications that the protocol gives to clients (revisions 2025-03-26 to 2026-07-28). A notification with
  // another name may do anything at the server.
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'logging/setLevel',
];

const lifecycle: ReadonlySet<string> = new Set(LIFECYCLE_METHODS);

/** Whether a call opens, keeps or ends an MCP session, lists, or pings. No rule about tools means such a call. */
export function isLifecycle({ protocol, method, mcp }: Action): boolean {
  if (protocol !== 'mcp') return false;
  return mcp?.method === undefined ? method === 'GET' || method === 'DELETE' : lifecycle.has(mcp.method);
}
