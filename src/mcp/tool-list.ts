// tools/list as one agent may see it: without the tools that no rule would let it call, with a word on those that
// people decide on. On the way every definition is compared with its pin. Trusts policy for the outlook; a definition
// that cannot be kept is left out.

import type { Outlook } from '../domain/decision.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { edited } from '../domain/json-source.ts';
import { asTaskTool } from './tasks/capabilities.ts';

export interface ToolListOptions {
  /** What the agent could expect of calls of this tool. Asked after the definition was compared with its pin. */
  outlook(tool: string): Outlook;
  /** Compares with the pin and keeps it; false leaves the tool out. */
  observe(definition: Json): boolean;
  /** After the descriptions of tools that are held; empty for nothing. */
  readonly heldSuffix: string;
  /** Whether the client reads from a tool's definition that its calls may become tasks (MCP 2025-11-25). */
  readonly takesTasks: boolean;
}

/**
 * A result of tools/list is told by its form: a resumed stream brings it without the request's id (MCP 2025-11-25,
 * resumability).
 */
export function isToolList(result: Json | undefined): result is JsonObject & { readonly tools: readonly Json[] } {
  return isJsonObject(result) && Array.isArray(result.tools) && result.content === undefined;
}

export function visibleTools(
  tools: readonly Json[],
  { outlook, observe, heldSuffix, takesTasks }: ToolListOptions,
): readonly Json[] {
  return tools.flatMap((tool) => {
    if (!observe(tool) || !isJsonObject(tool)) return [];
    const expected = outlook(String(tool.name));
    if (expected === 'deny') return [];
    if (expected === 'allow') return [tool];
    const held = takesTasks ? asTaskTool(tool) : tool;
    return [heldSuffix === '' ? held : edited(held, { description: describe(tool.description, expected, heldSuffix) })];
  });
}

function describe(description: Json | undefined, expected: Outlook, suffix: string): string {
  const words = expected === 'hold' ? suffix : `${suffix} (depending on the arguments)`;
  return typeof description === 'string' && description !== '' ? `${description} ${words}` : words;
}
