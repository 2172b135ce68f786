// tools/list as one agent may see it: without tools that no rule would let it call, and with a remark on tools that
// people decide on. Each definition is compared with its pin. Trusts policy for the outlook; a definition that cannot
// be kept is left out.

import type { Outlook } from '../domain/decision.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { edited } from '../domain/json-source.ts';
import { asTaskTool } from './tasks/capabilities.ts';

export interface ToolListOptions {
  /** What the agent can expect from calls of this tool. Called after the definition was compared with its pin. */
  outlook(tool: string): Outlook;
  /** Compares with the pin and keeps it; false leaves the tool out. */
  observe(definition: Json): boolean;
  /** Puts the gateway's own tool into what the agent sees. */
  own(tools: readonly Json[]): readonly Json[];
  /** The text after the descriptions of held tools; empty for none. */
  readonly heldSuffix: string;
  /** Whether the client learns from a tool's definition that its calls may become tasks (MCP 2025-11-25). */
  readonly takesTasks: boolean;
}

/**
 * A result of tools/list is recognised by its form, because a resumed stream brings it without the request's id (MCP
 * 2025-11-25, resumability).
 */
export function isToolList(result: Json | undefined): result is JsonObject & { readonly tools: readonly Json[] } {
  return isJsonObject(result) && Array.isArray(result.tools) && result.content === undefined;
}

export function visibleTools(
  tools: readonly Json[],
  { outlook, observe, own, heldSuffix, takesTasks }: ToolListOptions,
): readonly Json[] {
  const visible = tools.flatMap((tool) => {
    if (!observe(tool) || !isJsonObject(tool)) return [];
    const expected = outlook(String(tool.name));
    if (expected === 'deny') return [];
    if (expected === 'allow') return [tool];
    const held = takesTasks ? asTaskTool(tool) : tool;
    return [heldSuffix === '' ? held : edited(held, { description: describe(tool.description, expected, heldSuffix) })];
  });
  return own(visible);
}

function describe(description: Json | undefined, expected: Outlook, suffix: string): string {
  const words = expected === 'hold' ? suffix : `${suffix} (depending on the arguments)`;
  return typeof description === 'string' && description !== '' ? `${description} ${words}` : words;
}
